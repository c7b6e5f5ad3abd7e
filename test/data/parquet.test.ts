/** Parquet files written by pyarrow (test/fixtures/data/make_parquet.py): their values, and what cannot be read. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { encodeCsv, readCsv } from "../../src/data/node/table.ts";
import { DataError, FileError, PlatformError } from "../../src/errors.ts";

const file = (name: string) => new URL(`../fixtures/data/${name}`, import.meta.url).pathname;
const fruit = file("fruit.parquet");

test("numbers, 64-bit integers, words, dates, booleans and missing values of all row groups", async () => {
  const data = await readCsv(fruit, { target: "ripe", missing: "mean" });
  expect([data.features?.slice(0, 4), data.classes, [...data.y]]).toEqual([
    ["size", "count", "colour=green", "colour=red"],
    ["false", "true"],
    [1, 0, 1, 0],
  ]);
  const rows = Array.from({ length: 4 }, (_, i) => [...data.x.subarray(i * data.inputShape[0]).subarray(0, 5)]);
  // The days since 1970-01-01 stand fifth; the fourth size is the mean of the three others.
  expect(rows).toEqual([
    [3.5, 1, 0, 1, 1],
    [1.25, 2, 1, 0, 2],
    [2.75, 3, 0, 1, 3],
    [2.5, 4, 1, 0, 4],
  ]);
  expect((await encodeCsv(data.schema, fruit)).x).toEqual(data.x);
});

test("what cannot be read is said with what to do", async () => {
  const read = (path: string) => readCsv(path, { target: "ripe" });
  await expect(read(file("zstd.parquet"))).rejects.toThrow(
    /zstd\.parquet: the Parquet file cannot be read: .*ZSTD.*write it again uncompressed or with Snappy/s,
  );
  await expect(read("none.parquet")).rejects.toThrow(FileError);
  const directory = mkdtempSync(join(tmpdir(), "chainrule-parquet-"));
  const bytes = readFileSync(fruit);
  for (const length of [0, 3, 100, bytes.length - 1]) {
    const path = join(directory, "cut.parquet");
    writeFileSync(path, bytes.subarray(0, length));
    await expect(read(path)).rejects.toThrow(DataError);
  }
  rmSync(directory, { recursive: true });
});

test("without hyparquet, the error names the line that brings it", async () => {
  vi.doMock("hyparquet", () => {
    throw new Error("Cannot find package 'hyparquet'");
  });
  const error = await readCsv(fruit, { target: "ripe" }).catch((reason: unknown) => reason);
  vi.doUnmock("hyparquet");
  expect(error).toBeInstanceOf(PlatformError);
  expect((error as Error).message).toMatch(/npm install hyparquet/);
});
