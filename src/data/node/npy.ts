/**
 * Reads NPY and NPZ files. The formats are in ../npy.ts. Node only.
 */
import type { NamedArray } from "../dataset.ts";
import { decodeNpy, npzToDatasets } from "../npy.ts";
import { readFile } from "./files.ts";
import type { TrainAndTest } from "./idx.ts";

/** The array in an NPY file; see `decodeNpy`. Throws `FileError` and `DataError`. */
export async function readNpy(path: string): Promise<NamedArray> {
  return { ...decodeNpy(await readFile(path), path), file: path };
}

/** The data sets in an NPZ file; see `npzToDatasets`. Throws `FileError` and `DataError`. */
export async function readNpz(path: string): Promise<TrainAndTest> {
  return npzToDatasets(await readFile(path), path);
}
