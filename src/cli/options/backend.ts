/** Which engine computes, from `--backend` and `--threads`. */
import { type Backend, reference, wasm } from "../../index.ts";
import { UsageError } from "../terminal/exit.ts";
import { turboWorks } from "./turbo.ts";

export interface BackendOptions {
  readonly backend?: "wasm" | "reference";
  readonly threads?: number;
  /** 256-bit vectors; where they work unless said. */
  readonly turbo?: boolean;
}

export function chooseBackend({ backend = "wasm", threads, turbo }: BackendOptions): Backend {
  if (backend === "wasm")
    return wasm({ ...(threads !== undefined && { threads }), ...((turbo ?? turboWorks()) && { turbo: true }) });
  if (threads !== undefined && threads > 1) {
    throw new UsageError("--backend reference runs on one thread; leave --threads out.");
  }
  return reference();
}
