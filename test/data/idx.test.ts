/** IDX: the real digits, gzip, every element type, and every kind of damage. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { decodeIdx } from "../../src/data/idx.ts";
import { inflateByStream } from "../../src/data/inflate.ts";
import { mnist, readIdxDirectory } from "../../src/data/node/idx.ts";
import { DataError } from "../../src/errors.ts";

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true });
});

function directoryOf(files: Record<string, Uint8Array>): string {
  const directory = mkdtempSync(join(tmpdir(), "chainrule-idx-"));
  directories.push(directory);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(directory, name), bytes);
  return directory;
}

function idx(type: number, shape: number[], elements: number[]): Uint8Array {
  const lengths = shape.flatMap((n) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
  return new Uint8Array([0, 0, type, shape.length, ...lengths, ...elements]);
}

test("the MNIST digits: 60,000 and 10,000, with the counts per digit that the literature gives", async () => {
  const { train, test } = await mnist();
  expect([train.count, test?.count]).toEqual([60_000, 10_000]);
  expect(train.x).toBeInstanceOf(Uint8Array);
  expect(train.inputShape).toEqual([28, 28, 1]);
  expect(train.classes).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  const counts = Array(10).fill(0);
  for (const label of train.y) counts[label]++;
  expect(counts).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
  expect([...train.y.subarray(0, 5)]).toEqual([5, 0, 4, 1, 9]);
});

test.each([
  [0x08, 2, [0, 255], [0, 255]],
  [0x09, 2, [0x80, 0x7f], [-128, 127]],
  [0x0b, 2, [0xfe, 0xd4, 0, 1], [-300, 1]],
  [0x0c, 1, [0x80, 0, 0, 0], [-(2 ** 31)]],
  [0x0d, 1, [0x3f, 0xc0, 0, 0], [1.5]],
  [0x0e, 1, [0xbf, 0xf8, 0, 0, 0, 0, 0, 0], [-1.5]],
])("elements of type %i", async (type, count, bytes, values) => {
  expect([...(await decodeIdx(idx(type, [count], bytes))).data]).toEqual(values);
});

test("a directory of .gz files with dotted names, and a test set", async () => {
  const images = gzipSync(idx(8, [2, 1, 2], [0, 255, 255, 0]));
  const labels = gzipSync(idx(8, [2], [1, 0]));
  const { train, test } = await readIdxDirectory(
    directoryOf({
      "train-images.idx3-ubyte.gz": images,
      "train-labels.idx1-ubyte.gz": labels,
      "test-images.idx3-ubyte": idx(8, [1, 1, 2], [9, 9]),
      "test-labels.idx1-ubyte": idx(8, [1], [1]),
    }),
  );
  expect([...train.x]).toEqual([0, 255, 255, 0]);
  expect([...train.y]).toEqual([1, 0]);
  expect(test?.count).toBe(1);
});

const good = idx(8, [2, 1, 2], [0, 255, 255, 0]);
const packed = new Uint8Array(gzipSync(good));
test.each([
  ["empty", new Uint8Array(), /empty/],
  ["of another format", new TextEncoder().encode("a,b\n1,2\n"), /begins with 61 2c 62 0a/],
  ["of no known type", idx(7, [1], [1]), /begins with 00 00 07 01/],
  ["cut in its header", good.subarray(0, 10), /ends within its header/],
  ["cut in its elements", good.subarray(0, good.length - 1), /2 × 1 × 2 elements.*3 bytes follow.*cut short/],
  ["too long", new Uint8Array([...good, 1]), /too long/],
  ["claiming 2^93 elements", idx(8, [2 ** 31, 2 ** 31, 2 ** 31], [1]), /cut short/],
  ["cut gzip", packed.subarray(0, packed.length - 5), /gzip file is damaged or cut short/],
  ["damaged gzip", packed.map((byte, i) => (i === 14 ? byte ^ 0x40 : byte)), /gzip file is damaged/],
])("a file that is %s is a DataError with its name", async (_, bytes, message) => {
  const error = await decodeIdx(bytes, "digits.idx").catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DataError);
  expect((error as DataError).message).toMatch(message);
  expect((error as DataError).at.file).toBe("digits.idx");
});

test("sets that do not fit together are named", async () => {
  const names = { images: "train-images-idx3-ubyte", labels: "train-labels-idx1-ubyte" };
  await expect(readIdxDirectory(directoryOf({ "a.txt": good }))).rejects.toThrow(/no train-images.*it holds "a.txt"/);
  await expect(readIdxDirectory(directoryOf({ [names.images]: good }))).rejects.toThrow(/no train-labels-idx3-ubyte/);
  await expect(
    readIdxDirectory(directoryOf({ [names.images]: good, [names.labels]: idx(8, [3], [0, 1, 2]) })),
  ).rejects.toThrow(/3 labels for 2 rows/);
  await expect(
    readIdxDirectory(directoryOf({ [names.images]: good, [names.labels]: idx(9, [2], [0, 255]) })),
  ).rejects.toThrow(/row 2: the label is -1/);
  await expect(
    readIdxDirectory(
      directoryOf({
        [names.images]: good,
        [names.labels]: idx(8, [2], [0, 1]),
        "t10k-images-idx3-ubyte": idx(8, [1, 1, 2], [1, 2]),
        "t10k-labels-idx1-ubyte": idx(8, [1], [2]),
      }),
    ),
  ).rejects.toThrow(/row 1: the label is 2; wanted is a whole number from 0 to 1/);
});

test("the standard stream unpacks as Node's zlib does, within its limit", async () => {
  expect(await inflateByStream(packed, "gzip", 100)).toEqual(good);
  await expect(inflateByStream(packed, "gzip", 5)).rejects.toThrow(/more than 5 bytes/);
  await expect(inflateByStream(packed.subarray(0, 12), "gzip", 100)).rejects.toThrow(/cannot be unpacked/);
  const bomb = new Uint8Array(gzipSync(new Uint8Array(50_000_000)));
  await expect(inflateByStream(bomb, "gzip", 1000)).rejects.toThrow(/more than 1000 bytes/);
});
