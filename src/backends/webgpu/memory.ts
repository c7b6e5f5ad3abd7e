/**
 * The memory of one session on a GPU: one buffer, in which all arrays lie, that grows as they do; the pipelines that work
 * on it; and the way back for results. It knows words and no nodes.
 */
import { ArgumentError, ChainruleError } from "../../errors.ts";
import { createAllocator } from "../allocator.ts";
import type { Device } from "./device.ts";

// The numbers of GPUBufferUsage and GPUMapMode, which Node does not have as globals.
const USAGE = {
  heap: 0x80 | 0x8 | 0x4, // STORAGE, COPY_DST, COPY_SRC
  uniform: 0x40 | 0x8,
  readable: 0x1 | 0x8, // MAP_READ, COPY_DST
} as const;
const READ = 1;

const STATUS_WORDS = 5;
/** A first buffer of a megabyte. */
const LEAST_BYTES = 2 ** 20;

export interface ReadBack {
  readonly words: Uint32Array<ArrayBuffer>[];
  /** stopped, completed, bad, row, rows */
  readonly status: Uint32Array<ArrayBuffer>;
}

export type Memory = ReturnType<typeof openMemory>;

export function openMemory({ device, memoryBytes }: Device) {
  const buffers = new Set<GPUBuffer>();
  const pipelines = new Map<string, Promise<GPUComputePipeline>>();
  /** Buffers that results came back in, for the next ones. */
  const idle: GPUBuffer[] = [];
  let failure: unknown;

  const buffer = (bytes: number, usage: keyof typeof USAGE): GPUBuffer => {
    device.pushErrorScope("out-of-memory");
    const made = device.createBuffer({ size: Math.max(16, Math.ceil(bytes / 16) * 16), usage: USAGE[usage] });
    device.popErrorScope().then(
      (error) => {
        if (error) failure ??= tooLarge(bytes);
      },
      () => {},
    );
    buffers.add(made);
    return made;
  };
  const destroy = (made: GPUBuffer): void => {
    made.destroy();
    buffers.delete(made);
  };
  const tooLarge = (bytes: number): ArgumentError => {
    const megabytes = Math.ceil(bytes / 2 ** 20);
    return new ArgumentError(
      `The GPU cannot give ${megabytes} MB of memory (one array of its memory ends at ${Math.floor(memoryBytes / 2 ** 20)} MB). Use a smaller batch, model or data set, keep pixels as bytes, or take the wasm backend.`,
      { code: "out-of-memory", facts: { megabytes } },
    );
  };

  let heap = buffer(LEAST_BYTES, "heap");
  const status = buffer(STATUS_WORDS * 4, "heap");
  const allocator = createAllocator(0, (end) => {
    if (end <= heap.size) return;
    if (end > memoryBytes) throw tooLarge(end);
    const old = heap;
    heap = buffer(Math.min(memoryBytes, Math.max(end, Math.floor(old.size * 1.5))), "heap");
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(old, 0, heap, 0, old.size);
    device.queue.submit([encoder.finish()]);
    destroy(old);
  });

  const layout = device.createBindGroupLayout({
    entries: [
      { binding: 0, visibility: 4, buffer: { type: "storage" } },
      { binding: 1, visibility: 4, buffer: { type: "uniform", hasDynamicOffset: true } },
      { binding: 2, visibility: 4, buffer: { type: "storage" } },
    ],
  });
  const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] });

  const pipeline = (code: string): Promise<GPUComputePipeline> => {
    let made = pipelines.get(code);
    if (!made) {
      made = (async () => {
        const module = device.createShaderModule({ code });
        try {
          return await device.createComputePipelineAsync({
            layout: pipelineLayout,
            compute: { module, entryPoint: "main" },
          });
        } catch (cause) {
          const { messages } = await module.getCompilationInfo();
          const said = messages.map(({ lineNum, message }) => `line ${lineNum}: ${message}`).join("; ");
          throw new ChainruleError(`The GPU's driver refused a shader: ${said || cause}`, { cause });
        }
      })();
      pipelines.set(code, made);
    }
    return made;
  };

  /** Runs what was encoded, then gives what lies at these places, and the status. */
  const readBack = async (
    encoder: GPUCommandEncoder,
    places: readonly (readonly [address: number, words: number])[],
  ): Promise<ReadBack> => {
    const total = places.reduce((sum, [, words]) => sum + words, STATUS_WORDS);
    const i = idle.findIndex(({ size }) => size >= total * 4 && size <= total * 16 + 4096);
    const back = i < 0 ? buffer(total * 4, "readable") : idle.splice(i, 1)[0];
    encoder.copyBufferToBuffer(status, 0, back, 0, STATUS_WORDS * 4);
    let at = STATUS_WORDS;
    for (const [address, words] of places) {
      if (words > 0) encoder.copyBufferToBuffer(heap, address * 4, back, at * 4, words * 4);
      at += words;
    }
    device.queue.submit([encoder.finish()]);
    try {
      await back.mapAsync(READ, 0, total * 4);
      if (failure) throw failure;
    } catch (cause) {
      if (buffers.has(back)) destroy(back);
      throw cause;
    }
    const all = new Uint32Array(back.getMappedRange(0, total * 4).slice(0));
    back.unmap();
    idle.push(back);
    at = STATUS_WORDS;
    const words = places.map(([, words]) => {
      at += words;
      return all.slice(at - words, at);
    });
    return { words, status: all.subarray(0, STATUS_WORDS) };
  };

  return {
    device,
    heap: () => heap,
    buffer,
    destroy,
    pipeline,
    readBack,
    /** Room for so many words: where they begin. */
    allocate: (words: number): number => allocator.allocate(words * 4) / 4,
    free: (address: number): void => allocator.free(address * 4),
    usedBytes: allocator.usedBytes,
    write: (address: number, words: Uint32Array<ArrayBuffer>): void =>
      device.queue.writeBuffer(heap, address * 4, words),
    resetStatus: (): void => device.queue.writeBuffer(status, 0, new Uint32Array(STATUS_WORDS)),
    bindGroup: (uniform: GPUBuffer, bytes: number): GPUBindGroup =>
      device.createBindGroup({
        layout,
        entries: [
          { binding: 0, resource: { buffer: heap } },
          { binding: 1, resource: { buffer: uniform, size: bytes } },
          { binding: 2, resource: { buffer: status } },
        ],
      }),
    close(): void {
      for (const made of [...buffers]) destroy(made);
      idle.length = 0;
      pipelines.clear();
    },
  };
}
