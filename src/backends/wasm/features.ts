/** What this platform's WebAssembly offers, found out by asking it to validate a few bytes. */
import { PlatformError } from "../../errors.ts";
import { f32x4, ModuleBuilder, v128 } from "./assembler.ts";

export interface Features {
  /** Fused multiply-add from the relaxed-SIMD proposal. */
  readonly relaxedSimd: boolean;
}

function validates(relaxed: boolean): boolean {
  const module = new ModuleBuilder();
  module.function({ parameters: ["v128"], result: "v128", export: "f" }, (f, x) => {
    f.return(relaxed ? f32x4.relaxedMadd(x, x, x) : f32x4.add(x, v128.constF32(1)));
  });
  return WebAssembly.validate(module.encode());
}

let detected: Features | undefined;

export function detectFeatures(): Features {
  if (detected) return detected;
  if (typeof WebAssembly !== "object" || !validates(false)) {
    throw new PlatformError(
      "The wasm backend needs WebAssembly SIMD, which this platform lacks (Node 16.4, Chrome 91, Firefox 89, Safari 16.4 or later have it). Use backend: reference(), which is slow.",
    );
  }
  detected = { relaxedSimd: validates(true) };
  return detected;
}
