/** What this platform's WebAssembly offers, found out by asking it to validate a few bytes. */
import { PlatformError } from "../../errors.ts";
import { f32x4, ModuleBuilder, v128 } from "./assembler.ts";

export interface Features {
  /** Fused multiply-add from the relaxed-SIMD proposal, if it is faster than the two operations. */
  readonly relaxedSimd: boolean;
}

function validates(relaxed: boolean): boolean {
  const module = new ModuleBuilder();
  module.function({ parameters: ["v128"], result: "v128", export: "f" }, (f, x) => {
    f.return(relaxed ? f32x4.relaxedMadd(x, x, x) : f32x4.add(x, v128.constF32(1)));
  });
  return WebAssembly.validate(module.encode());
}

/**
 * V8 12, of Node 22, has fused multiply-add and 256-bit vectors, but moves registers about so much that both are slower
 * than doing without: a training step takes 1.3 times as long.
 */
export const isEarlyV8 = (): boolean => Number.parseInt(globalThis.process?.versions?.v8 ?? "", 10) < 13;

let detected: Features | undefined;

export function detectFeatures(): Features {
  if (detected) return detected;
  if (typeof WebAssembly !== "object" || !validates(false)) {
    throw new PlatformError(
      "The wasm backend needs WebAssembly SIMD, which this platform lacks. Take a newer one, or backend: reference(), which is slow.",
    );
  }
  detected = { relaxedSimd: validates(true) && !isEarlyV8() };
  return detected;
}
