/** NPY and NPZ as NumPy wrote them (fixtures/data/make.py), and every kind of damage. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readNpy, readNpz } from "../../src/data/node/npy.ts";
import { decodeNpy, decodeNpz, encodeNpy, npzToDatasets } from "../../src/data/npy.ts";
import { ArgumentError, DataError, FileError } from "../../src/errors.ts";

const path = (name: string) => fileURLToPath(new URL(`../fixtures/data/${name}`, import.meta.url));
const bytes = (name: string) => new Uint8Array(readFileSync(path(name)));

test.each<[string, number[], (number | bigint)[]]>([
  ["fortran", [2, 3, 4], Array.from({ length: 24 }, (_, i) => i)],
  ["big-endian", [1, 2], [1.5, -2]],
  ["half", [3], [1.5, -2, Number.NaN]],
  ["scalar", [], [7n]],
  ["bool", [2], [1, 0]],
])("%s", (name, shape, values) => {
  const array = decodeNpy(bytes(`${name}.npy`));
  expect([array.shape, [...array.data]]).toEqual([shape, values]);
});

test("what is written equals NumPy's bytes", () => {
  expect(encodeNpy({ shape: [1, 3], data: new Float32Array([0.5, -2, 3]) })).toEqual(bytes("written.npy"));
  const data = new BigInt64Array([1n, -1n]);
  expect(decodeNpy(encodeNpy({ shape: [2], data }))).toEqual({ shape: [2], data });
  expect(() => encodeNpy({ shape: [2, 2], data })).toThrow(ArgumentError);
});

test("an NPZ file of images with labels, compressed, and one of targets", async () => {
  const { train, test } = await readNpz(path("arrays.npz"));
  expect(train.x).toEqual(Uint8Array.from({ length: 24 }, (_, i) => i));
  expect([train.inputShape, train.task, train.classes, [...train.y]]).toEqual([
    [3, 2, 1],
    "classification",
    ["0", "1", "2"],
    [0, 1, 2, 1],
  ]);
  expect([test?.count, test?.classes, [...(test?.x ?? [])]]).toEqual([1, ["0", "1", "2"], [9, 8, 7, 6, 5, 4]]);
  const regression = await readNpz(path("regression.npz"));
  expect([regression.train.task, regression.train.inputShape, [...regression.train.y], regression.test]).toEqual([
    "regression",
    [2],
    [0.25, -1],
    undefined,
  ]);
  expect((await readNpy(path("half.npy"))).file).toBe(path("half.npy"));
  await expect(readNpy(path("none.npy"))).rejects.toThrow(FileError);
});

const npy = (header: string, body: number) => {
  const out = new Uint8Array(10 + header.length + body);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  out.set(new TextEncoder().encode(header), 10);
  return out;
};
const header = (descr: string, shape: string) => `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
test.each<[string, Uint8Array, RegExp]>([
  ["empty", new Uint8Array(), /empty, damaged or of another format/],
  ["objects", bytes("objects.npy"), /Python objects, which could run code/],
  ["text", npy(header("<U3", "(1,)"), 12), /elements of type "<U3"/],
  ["records", npy("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }", 4), /not of a plain array/],
  ["a header cut short", bytes("half.npy").subarray(0, 40), /ends within its header/],
  ["elements cut short", bytes("half.npy").subarray(0, 132), /3 elements of 2 bytes, but 4 bytes follow/],
  ["2^62 elements", npy(header("<f4", "(2147483648, 2147483648)"), 4), /cut short or damaged/],
  ["a shape that is no shape", npy(header("<f4", "(1, -1)"), 4), /not of a plain array/],
  ["a later version", bytes("half.npy").map((byte, i) => (i === 6 ? 9 : byte)), /version 9/],
])("NPY: %s", (_, data, message) => {
  expect(() => decodeNpy(data, "a.npy")).toThrow(DataError);
  expect(() => decodeNpy(data, "a.npy")).toThrow(message);
});

const npz = bytes("arrays.npz");
/** The file with one number changed in every entry of its directory. */
function withDirectory(offset: number, value: number): Uint8Array {
  const out = npz.slice();
  const view = new DataView(out.buffer);
  for (let at = 0; at + 46 < out.length; at++)
    if (view.getUint32(at, true) === 0x02014b50) view.setUint32(at + offset, value, true);
  return out;
}
test.each<[string, Uint8Array, RegExp]>([
  ["empty", new Uint8Array(), /no directory/],
  ["cut short", npz.subarray(0, npz.length - 1), /no directory|damaged/],
  ["a wrong check sum", withDirectory(16, 1), /check sum or length is wrong/],
  ["a huge size", withDirectory(24, 0xfffffff0), /would unpack to 4294967280 bytes/],
  ["a size too small", withDirectory(24, 10), /unpacks to more than 10 bytes/],
  ["a place beyond the end", withDirectory(42, 0x7fffffff), /not where the directory says/],
  ["a length beyond the end", withDirectory(20, 0x7fffffff), /cut short/],
])("NPZ: %s", async (_, data, message) => {
  const error = await decodeNpz(data, "a.npz").catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DataError);
  expect((error as DataError).message).toMatch(message);
});

test("an NPZ file without inputs and labels says what it has", async () => {
  const renamed = npz.map((byte, i) => (String.fromCharCode(...npz.subarray(i, i + 7)) === "x_train" ? 0x7a : byte));
  await expect(npzToDatasets(renamed)).rejects.toThrow(
    /the arrays are "z_train", "y_train", "x_test", "y_test"; wanted/,
  );
});
