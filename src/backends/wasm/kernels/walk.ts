/** What many kernels do: going through units, rows and columns. */
import { type Shape, sizeOf } from "../../../graph/shape.ts";
import { type Address, type FunctionBuilder, type I32, type Int, i32, type Local, pointer } from "../assembler.ts";
import type { Phase } from "../kernel.ts";

/** A phase, from the code for one unit. */
export const eachUnit = (units: number, body: (f: FunctionBuilder, unit: Local<"i32">) => void): Phase => ({
  units,
  emit: (f, begin, end) => {
    f.forUp(begin, end, 1, (unit) => body(f, unit));
  },
});

/** A phase that fills memory with zeros. */
export const zeros = (address: Address, bytes: number): Phase => ({
  units: 1,
  emit: (f) => f.fillMemory(pointer(address), 0, bytes),
});

/** Writes the body for `count` columns, four at a time, the rest with fewer lanes; `at` counts bytes of 4-byte elements. */
export function eachColumn(f: FunctionBuilder, count: number, body: (at: Int, lanes: number) => void): void {
  const rest = count % 4;
  const whole = (count - rest) * 4;
  if (whole > 0) f.forUp(0, whole, 16, (at) => body(at, 4));
  if (rest > 0) body(whole, rest);
}

/** Where row number `row` of rows of some shape begins in an array that has these steps along their axes. */
export function rowStart(row: I32, shape: Shape, steps: readonly number[]): Int {
  let result: Int = 0;
  let after = sizeOf(shape);
  for (const [axis, length] of shape.entries()) {
    after /= length;
    if (steps[axis] === 0) continue;
    const outer = after === 1 ? row : i32.divU(row, after);
    result = i32.add(result, i32.mul(axis === 0 ? outer : i32.remU(outer, length), steps[axis]));
  }
  return result;
}
