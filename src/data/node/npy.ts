/**
 * Reads NPY and NPZ files, the arrays that NumPy saves: one as it is, several as data sets. It only opens the files;
 * the formats are in ../npy.ts. Node only.
 */
import type { NamedArray } from "../from-arrays.ts";
import { decodeNpy, npzToDatasets } from "../npy.ts";
import { readFile } from "./files.ts";
import type { TrainAndTest } from "./idx.ts";

/**
 * The array in an NPY file; see `decodeNpy`. Throws `FileError` and `DataError`.
 *
 * @example
 * import { encodeNpy } from "chainrule/data";
 * import { readNpy, writeFileAtomically } from "chainrule/data/node";
 * await writeFileAtomically("x.npy", encodeNpy({ shape: [2], data: new Float32Array([1, 2]) }));
 * console.log((await readNpy("x.npy")).data); // Float32Array(2) [ 1, 2 ]
 */
export async function readNpy(path: string): Promise<NamedArray> {
  return { ...decodeNpy(await readFile(path), path), file: path };
}

/**
 * The data sets in an NPZ file; see `npzToDatasets`. Throws `FileError` and `DataError`.
 *
 * @example
 * import { readNpz } from "chainrule/data/node";
 * const digits = async () => (await readNpz("mnist.npz")).train; // as Keras has it
 */
export async function readNpz(path: string): Promise<TrainAndTest> {
  return npzToDatasets(await readFile(path), path);
}
