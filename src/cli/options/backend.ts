/** Which engine computes, from `--backend` and `--threads`. */
import { type Backend, reference, wasm } from "../../index.ts";
import { UsageError } from "../terminal/exit.ts";

export interface BackendOptions {
  readonly backend?: "wasm" | "reference";
  readonly threads?: number;
  readonly turbo?: boolean;
}

export function chooseBackend({ backend = "wasm", threads, turbo }: BackendOptions): Backend {
  if (backend === "wasm") return wasm({ ...(threads !== undefined && { threads }), ...(turbo && { turbo }) });
  if (threads !== undefined && threads > 1) {
    throw new UsageError("--backend reference runs on one thread; leave --threads out.");
  }
  return reference();
}
