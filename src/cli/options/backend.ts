/** Which engine computes, from `--backend` and `--threads`. */
import { type Backend, reference, wasm } from "../../index.ts";
import { UsageError } from "../terminal/exit.ts";
import { turboWorks } from "./turbo.ts";

/** What `--backend` takes. */
export const BACKENDS = ["wasm", "webgpu", "reference"] as const;

export interface BackendOptions {
  readonly backend?: (typeof BACKENDS)[number];
  readonly threads?: number;
  /** 256-bit vectors; where they work unless said. */
  readonly turbo?: boolean;
}

export async function chooseBackend({ backend = "wasm", threads, turbo }: BackendOptions): Promise<Backend> {
  if (backend === "wasm")
    return wasm({ ...(threads !== undefined && { threads }), ...((turbo ?? turboWorks()) && { turbo: true }) });
  if (threads !== undefined && threads > 1)
    throw new UsageError(`--threads is for the wasm backend; leave it out with --backend ${backend}.`);
  if (backend === "reference") return reference();
  const { webgpu } = await import("../../webgpu/index.ts");
  return webgpu();
}
