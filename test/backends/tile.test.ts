/** The cut of a matrix's rows into tiles. */
import { expect, test } from "vitest";
import type { KernelContext } from "../../src/backends/wasm/kernel.ts";
import { rowTiles } from "../../src/backends/wasm/kernels/tile.ts";

test.each([
  ["one instruction", true, 6],
  ["two", false, 4],
])("rows are cut evenly where a multiply-add is %s", (_, fusedMadd, tallest) => {
  for (let m = 1; m <= 200; m++) {
    const tiles = rowTiles(m, { fusedMadd } as KernelContext);
    const heights = tiles.flatMap(({ rows, count }) => Array.from({ length: count }, () => rows));
    expect(heights.reduce((a, b) => a + b, 0)).toBe(m);
    expect(heights).toHaveLength(Math.ceil(m / tallest));
    expect(Math.min(...heights)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...heights)).toBeLessThanOrEqual(tallest);
    expect(Math.max(...heights) - Math.min(...heights)).toBeLessThanOrEqual(1);
  }
});
