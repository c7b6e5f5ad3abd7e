/**
 * Finds a GPU: the browser's or Deno's own, in Node that of the optional peer `webgpu`. Whatever is missing is said in a
 * typed error that names what would bring it.
 */
import { PlatformError } from "../../errors.ts";

/** Options of `webgpu`. */
export interface WebgpuOptions {
  /** Which GPU, where a machine has several; the fast one unless said. */
  readonly powerPreference?: "high-performance" | "low-power";
}

export interface Device {
  readonly device: GPUDevice;
  /** For people: `nvidia ampere`. */
  readonly name: string;
  /** The largest array of memory that shaders can have. */
  readonly memoryBytes: number;
}

/** What Node's peer offers. */
interface Peer {
  create(options: string[]): GPU;
}

/** The peer's GPU: one for the process. It holds no process open. */
let ofPeer: GPU | undefined;

async function findGpu(): Promise<GPU> {
  const own = globalThis.navigator?.gpu;
  if (own) return own;
  if (!globalThis.process?.versions?.node)
    throw new PlatformError(
      "This browser has no WebGPU, or the page may not use it: it needs https (or localhost). Take the wasm backend.",
    );
  // No bundler shall look for it.
  const name = "webgpu";
  const peer = await import(/* @vite-ignore */ name).catch((cause: unknown) => {
    throw new PlatformError(
      "A GPU is reached from Node by the package webgpu, which is not installed here. Bring it in: npm install webgpu",
      { cause },
    );
  });
  ofPeer ??= (peer as Peer).create([]);
  return ofPeer;
}

export const noGpu = (): PlatformError =>
  new PlatformError(
    "No GPU was found that WebGPU can use. On Linux it needs a Vulkan driver (vulkaninfo shows it); else take the wasm backend.",
    { code: "no-gpu" },
  );

export async function openDevice({ powerPreference = "high-performance" }: WebgpuOptions): Promise<Device> {
  const gpu = await findGpu();
  const adapter = await gpu.requestAdapter({ powerPreference }).catch(() => null);
  if (!adapter) throw noGpu();
  const { limits, info } = adapter;
  const device = await adapter.requestDevice({
    requiredLimits: {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    },
  });
  const named = [info?.vendor, info?.architecture].filter(Boolean).join(" ");
  return {
    device,
    name: named || info?.description || "an unnamed GPU",
    // Numbers of words are unsigned and have 32 bits.
    memoryBytes: Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize, 2 ** 34),
  };
}
