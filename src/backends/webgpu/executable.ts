/**
 * A plan made ready on a GPU. A series of runs is one command buffer: for each run its inputs are taken from those of all,
 * which were uploaded at once, the steps follow one another, and its outputs are put beside those of the others; they come
 * back together with how many runs finished. A guard that is not finite sets a flag at which every later update looks.
 */
import { noSuchRow } from "../../checks.ts";
import { constantArray } from "../../graph/leaf.ts";
import type { Node } from "../../graph/node.ts";
import type { AnyArray } from "../../graph/op.ts";
import { sizeOf } from "../../graph/shape.ts";
import { storageOf } from "../../plan/operands.ts";
import { makePlan, type Plan } from "../../plan/plan.ts";
import { SINGLE_PRECISION } from "../../plan/target.ts";
import { ARRAYS } from "../arrays.ts";
import type { Executable, Run } from "../backend.ts";
import { checkLength } from "../checks.ts";
import type { Memory } from "./memory.ts";
import { entry, placesOf, type Shader, shaderOf, stepShaders } from "./shader.ts";
import { wordsOf } from "./words.ts";

/** What belongs to a session and its executables have in common. */
export interface Shared {
  readonly memory: Memory;
  /** Bytes of workgroup memory. */
  readonly workgroupBytes: number;
  /** Where a variable lies, in words. */
  addressOf(variable: Node): number;
  /** Puts elements into memory. */
  put(node: Node, address: number, values: AnyArray): void;
  /** A piece of memory for the runs of a plan, in words, and the function that gives it back. */
  memoryForRuns(words: number): { readonly address: number; release(): void };
  /** Throws if nothing may run any more. */
  check(): void;
  /** What comes of the GPU, or the error that says that it was lost. */
  orLost<T>(coming: Promise<T>): Promise<T>;
  /** Makes the session one that runs nothing more. */
  break(cause: unknown): void;
}

/** One dispatch of a run: which pipeline, told by which table. */
interface Command {
  readonly shader: Shader;
  pipeline?: GPUComputePipeline;
  /** The number of its table; of what differs from run to run, that of the first run's. */
  readonly table: number;
  readonly perRun?: boolean;
}

/** A body that copies arrays, word by word: pairs of entries of its table, to and from. */
const copying = (sizes: readonly number[], before = ""): { body: string; groups: [number, number, number] } => {
  const groups = Math.max(1, Math.min(64, Math.ceil(Math.max(0, ...sizes) / 256)));
  const loops = sizes.map(
    (words, k) =>
      `  for (var i = group.x * 256u + lane; i < ${words}u; i += ${groups * 256}u) { m[${entry(2 * k)} + i] = m[${entry(2 * k + 1)} + i]; }\n`,
  );
  return { body: before + loops.join(""), groups: [groups, 1, 1] };
};

const WITHOUT_LOOPS = { ...SINGLE_PRECISION, loops: false };

const UNLESS_STOPPED = "  if (status.stopped != 0u) { return; }\n";

export function makeExecutable(given: Plan, shared: Shared): Executable {
  // The turns of a loop are dispatches of their own.
  const plan = given.steps.some(({ loop }) => loop) ? makePlan(given.request, WITHOUT_LOOPS) : given;
  const { memory } = shared;
  let scratchWords = 0;
  let arena = 0;
  const constants = new Map<Node, number>();
  const address = (node: Node): number => {
    const slot = plan.slots.get(node);
    if (slot) return arena + slot.offset / 4;
    const values = constantArray(node);
    if (!values) return shared.addressOf(node);
    let place = constants.get(node);
    if (place === undefined) {
      place = memory.allocate(wordsOf(node));
      constants.set(node, place);
      shared.put(node, place, values);
    }
    return place;
  };
  // Shaders are written once to know what they need to work in, and once to know where things lie.
  const layout = {
    address,
    workgroupBytes: shared.workgroupBytes,
    scratch: (words: number) => {
      scratchWords = Math.max(scratchWords, words);
    },
    scratchAddress: () => arena + plan.arenaBytes / 4,
  };
  for (const step of plan.steps) stepShaders(plan, step, layout);
  const forRuns = shared.memoryForRuns(plan.arenaBytes / 4 + scratchWords);
  arena = forRuns.address;
  const placeOf = placesOf(plan, address);

  const commands: Command[] = [];
  const tables: (readonly number[])[] = [];
  /** Adds dispatches that are told one table. */
  const add = (shaders: readonly Shader[], table: readonly number[]): void => {
    if (shaders.length === 0) return;
    tables.push(table);
    for (const shader of shaders) commands.push({ shader, table: tables.length - 1 });
  };
  const ownShader = (dispatch: ReturnType<typeof copying>, entries: number): Shader => ({
    code: shaderOf(dispatch, entries),
    groups: dispatch.groups,
  });

  for (const step of plan.steps) {
    const { shaders, table } = stepShaders(plan, step, layout);
    add(shaders, table);
    if (plan.guard && step.writes.includes(storageOf(plan.guard))) {
      const body = `  if (lane == 0u && (m[${entry(0)}] & 0x7f800000u) == 0x7f800000u) { status.stopped = 1u; }\n`;
      add([ownShader({ body, groups: [1, 1, 1] }, 1)], [placeOf(plan.guard)]);
    }
  }
  const inputWords = plan.inputs.map(wordsOf);
  const outputWords = plan.outputs.map(wordsOf);
  const takeInputs = plan.inputs.length > 0 ? ownShader(copying(inputWords), 2 * inputWords.length) : undefined;
  const last = 2 * outputWords.length;
  const giveOutputs = ((): Shader => {
    const { body, groups } = copying(outputWords, UNLESS_STOPPED);
    const counted = `  if (group.x == 0u && lane == 0u) { status.completed = ${entry(last)}; }\n`;
    return ownShader({ body: body + counted, groups }, last + 1);
  })();
  const keepCopies =
    plan.copies.length > 0
      ? ownShader(
          copying(
            plan.copies.map(({ value }) => wordsOf(value)),
            UNLESS_STOPPED,
          ),
          2 * plan.copies.length,
        )
      : undefined;

  const perRun: { shader: Shader; tableOf(run: number): number[]; first: boolean }[] = [];
  let staged = 0;
  let staging: { inputs: number; outputs: number } | undefined;
  const sum = (words: readonly number[]): number => words.reduce((a, b) => a + b, 0);
  const before = (words: readonly number[], k: number): number => sum(words.slice(0, k));
  if (takeInputs)
    perRun.push({
      shader: takeInputs,
      first: true,
      tableOf: (run) =>
        plan.inputs.flatMap((node, k) => [
          placeOf(node),
          staging!.inputs + before(inputWords, k) * staged + run * inputWords[k],
        ]),
    });
  perRun.push({
    shader: giveOutputs,
    first: false,
    tableOf: (run) => [
      ...plan.outputs.flatMap((node, k) => [
        staging!.outputs + before(outputWords, k) * staged + run * outputWords[k],
        placeOf(node),
      ]),
      run + 1,
    ],
  });
  if (keepCopies)
    perRun.push({
      shader: keepCopies,
      first: false,
      tableOf: () => plan.copies.flatMap(({ variable, value }) => [shared.addressOf(variable), placeOf(value)]),
    });

  // Pipelines are made side by side; the first run waits for them.
  const pipelines = new Map<Shader, GPUComputePipeline>();
  let failed: unknown;
  const ready = Promise.all(
    [...commands.map(({ shader }) => shader), ...perRun.map(({ shader }) => shader)].map(async (shader) => {
      pipelines.set(shader, await memory.pipeline(shader.code));
    }),
  ).then(
    () => true,
    (cause) => {
      failed = cause;
      return false;
    },
  );
  let isReady = false;

  let freed = false;
  let uniform: { buffer: GPUBuffer; stride: number } | undefined;
  let binding: { group: GPUBindGroup; heap: GPUBuffer } | undefined;

  /** Makes room for so many runs, and writes the tables. */
  const stage = (count: number): void => {
    if (count <= staged && uniform) return;
    if (staging) {
      memory.free(staging.inputs);
      memory.free(staging.outputs);
    }
    staged = Math.max(count, 1);
    staging = {
      inputs: memory.allocate(sum(inputWords) * staged),
      outputs: memory.allocate(sum(outputWords) * staged),
    };
    const all = [
      ...tables,
      ...perRun.flatMap(({ tableOf }) => Array.from({ length: staged }, (_, run) => tableOf(run))),
    ];
    const stride = Math.ceil((Math.max(...all.map((table) => table.length)) * 4) / 256) * 256;
    const words = new Uint32Array((all.length * stride) / 4);
    for (const [i, table] of all.entries()) words.set(table, (i * stride) / 4);
    if (uniform) memory.destroy(uniform.buffer);
    uniform = { buffer: memory.buffer(words.byteLength, "uniform"), stride };
    memory.device.queue.writeBuffer(uniform.buffer, 0, words);
    binding = undefined;
  };

  const bindGroup = (): GPUBindGroup => {
    const heap = memory.heap();
    if (binding?.heap !== heap) binding = { heap, group: memory.bindGroup(uniform!.buffer, uniform!.stride) };
    return binding.group;
  };

  const encode = (count: number): GPUCommandEncoder => {
    const encoder = memory.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    const group = bindGroup();
    let present: GPUComputePipeline | undefined;
    const dispatch = (shader: Shader, table: number): void => {
      const pipeline = pipelines.get(shader)!;
      if (pipeline !== present) pass.setPipeline(pipeline);
      present = pipeline;
      pass.setBindGroup(0, group, [table * uniform!.stride]);
      pass.dispatchWorkgroups(...shader.groups);
    };
    const around = (run: number, isFirst: boolean): void => {
      for (const [k, { shader, first }] of perRun.entries())
        if (first === isFirst) dispatch(shader, tables.length + k * staged + run);
    };
    for (let run = 0; run < count; run++) {
      around(run, true);
      for (const { shader, table } of commands) dispatch(shader, table);
      around(run, false);
    }
    pass.end();
    return encoder;
  };

  const run = async (given: readonly AnyArray[], count = 1): Promise<Run> => {
    shared.check();
    for (const [i, node] of plan.inputs.entries()) checkLength(node, given[i], count);
    const upload = packed(plan.inputs, given, count);
    if (!isReady) {
      isReady = await ready;
      shared.check();
      if (!isReady) throw failed;
    }
    stage(count);
    // The inputs of all runs lie one after the other, each array's with room for the most runs.
    for (const [k, words] of upload.entries())
      if (words.length > 0) memory.write(staging!.inputs + before(inputWords, k) * staged, words);
    memory.resetStatus();
    const encoder = encode(count);
    const result = memory.readBack(encoder, [
      ...outputWords.map((words, k): [number, number] => [
        staging!.outputs + before(outputWords, k) * staged,
        words * count,
      ]),
    ]);
    const { words, status } = await shared.orLost(result);
    const [, completed, bad, row, rows] = status;
    if (bad) {
      const error = noSuchRow(row | 0, rows);
      shared.break(error);
      throw error;
    }
    const outputs = plan.outputs.map((node, k) => unpacked(node, words[k], count));
    return { outputs, completed, threads: 1 };
  };

  return {
    run,
    free: () => {
      if (freed) return;
      freed = true;
      if (staging) {
        memory.free(staging.inputs);
        memory.free(staging.outputs);
      }
      for (const place of constants.values()) memory.free(place);
      if (uniform) memory.destroy(uniform.buffer);
      forRuns.release();
    },
  };
}

/** Input arrays as words, those of each run beginning at a word. */
function packed(nodes: readonly Node[], given: readonly AnyArray[], count: number): Uint32Array<ArrayBuffer>[] {
  return nodes.map((node, i) => {
    const words = wordsOf(node);
    const buffer = new ArrayBuffer(words * count * 4);
    const target = new ARRAYS[node.dtype](buffer);
    const size = sizeOf(node.shape);
    if (target.length === size * count) target.set(given[i]);
    else
      for (let run = 0; run < count; run++)
        target.set(given[i].subarray(run * size, (run + 1) * size), (run * target.length) / count);
    return new Uint32Array(buffer);
  });
}

/** The elements of so many runs, from their words. */
function unpacked(node: Node, words: Uint32Array<ArrayBuffer>, count: number): AnyArray {
  const array = new ARRAYS[node.dtype](
    words.buffer,
    words.byteOffset,
    words.byteLength / ARRAYS[node.dtype].BYTES_PER_ELEMENT,
  );
  const size = sizeOf(node.shape);
  if (array.length === size * count) return array;
  const result = new ARRAYS[node.dtype](size * count);
  for (let run = 0; run < count; run++)
    result.set(array.subarray((run * array.length) / count, (run * array.length) / count + size), run * size);
  return result;
}
