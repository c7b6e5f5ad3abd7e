/**
 * A GPU for tests: the machine's own, or Chromium's SwiftShader, which computes the same on the processor, slowly. Where
 * there is neither, or the package webgpu is not installed, tests say so and are skipped.
 */
import { existsSync } from "node:fs";
import type { Backend } from "chainrule";
import { webgpu } from "chainrule/webgpu";

const SWIFTSHADER = [
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  "/usr/lib64/chromium-browser/vk_swiftshader_icd.json",
];

export interface FoundGpu {
  readonly backend: Backend | undefined;
  /** Why there is none. */
  readonly why: string;
}

export async function findGpu(): Promise<FoundGpu> {
  const driver = SWIFTSHADER.find((path) => existsSync(path));
  if (driver !== undefined) process.env.VK_DRIVER_FILES ??= driver;
  try {
    return { backend: await webgpu(), why: "" };
  } catch (error) {
    return { backend: undefined, why: `no WebGPU: ${(error as Error).message}` };
  }
}
