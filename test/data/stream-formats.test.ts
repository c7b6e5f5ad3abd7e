/** Streams of arrays, images and Parquet, and rows that are kept decoded: all give what the readers of whole files give. */
import { appendFile, mkdir, mkdtemp, readdir, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { type DataStream, encodeNpy, encodeSafetensors, statistics, take } from "chainrule/data";
import { clearCache, mnist, openStream, readCsv, readImageFolder } from "chainrule/data/node";
import { expect, test } from "vitest";

const directory = await mkdtemp(join(tmpdir(), "chainrule-formats-"));
const fixtures = join(dirname(fileURLToPath(import.meta.url)), "../fixtures/data");
const at = (name: string) => join(directory, name);

async function all(stream: DataStream, options: Parameters<DataStream["rows"]>[0] = {}) {
  const [x, y]: [number[], number[]] = [[], []];
  for await (const rows of stream.rows(options)) {
    for (const value of rows.x) x.push(value);
    for (const value of rows.y) y.push(value);
  }
  return { x, y };
}

/** An IDX file of bytes. */
function idx(shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  for (const [i, length] of shape.entries()) header.writeUInt32BE(length, 4 + 4 * i);
  return Buffer.concat([header, data]);
}

const { train } = await mnist();
const digits = take(
  train,
  Array.from({ length: 1500 }, (_, i) => i),
); // 1.2 MB, in nineteen blocks

test("a directory of IDX files", async () => {
  await mkdir(at("digits"));
  await writeFile(at("digits/train-images-idx3-ubyte"), idx([1500, 28, 28], digits.x as Uint8Array));
  await writeFile(at("digits/train-labels-idx1-ubyte"), idx([1500], Uint8Array.from(digits.y)));
  await writeFile(at("digits/t10k-images-idx3-ubyte"), idx([20, 28, 28], digits.x.subarray(0, 20 * 784) as Uint8Array));
  await writeFile(at("digits/t10k-labels-idx1-ubyte"), idx([20], Uint8Array.from(digits.y.subarray(0, 20))));
  const stream = await openStream(at("digits"));
  const { x, y } = await all(stream);
  expect([stream.count, stream.inputShape, stream.classes, stream.task]).toEqual([
    1500,
    [28, 28, 1],
    digits.classes,
    "classification",
  ]);
  expect(Uint8Array.from(x)).toEqual(digits.x);
  expect(Int32Array.from(y)).toEqual(digits.y);
  for (const [i, mean] of statistics(digits).mean.entries()) expect(stream.statistics.mean[i]).toBeCloseTo(mean, 3);
  expect((await openStream(at("digits"), { part: "test" })).count).toBe(20);
  await truncate(at("digits/train-images-idx3-ubyte"), 5000);
  await expect(openStream(at("digits"))).rejects.toThrow(
    /train-images-idx3-ubyte: the header says 1500 × 28 × 28 .*cut short/,
  );
});

test("NPY files and safetensors shards: numbers, labels, one-hot rows, several targets", async () => {
  const x = Float32Array.from({ length: 3000 * 10 }, (_, i) => Math.sin(i));
  const shard = (from: number, to: number) => ({ shape: [to - from, 10], data: x.slice(from * 10, to * 10) });
  for (const [i, [from, to]] of [
    [0, 1000],
    [1000, 3000],
  ].entries()) {
    await writeFile(at(`x-${i}.npy`), encodeNpy(shard(from, to)));
    const labels = Uint8Array.from({ length: to - from }, (_, k) => (from + k) % 3);
    await writeFile(at(`y-${i}.npy`), encodeNpy({ shape: [to - from], data: labels }));
    const targets = Float64Array.from({ length: 2 * (to - from) }, (_, k) => (2 * from + k) / 8);
    await writeFile(
      at(`s-${i}.safetensors`),
      encodeSafetensors({ x: shard(from, to), y: { shape: [to - from, 2], data: targets } }),
    );
    const hot = Uint8Array.from({ length: 3 * (to - from) }, (_, k) =>
      Number(k % 3 === (from + Math.floor(k / 3)) % 3),
    );
    await writeFile(at(`hot-${i}.npy`), encodeNpy({ shape: [to - from, 3], data: hot }));
  }
  const labelled = await openStream(at("x-*.npy"), { targets: at("y-*.npy") });
  expect([labelled.count, labelled.classes, labelled.classCounts]).toEqual([3000, ["0", "1", "2"], [1000, 1000, 1000]]);
  expect(await all(labelled)).toEqual({ x: [...x], y: Array.from({ length: 3000 }, (_, i) => i % 3) });
  expect(await all(await openStream(at("x-*.npy"), { targets: at("hot-*.npy") }))).toEqual(await all(labelled));
  const several = await openStream([at("s-0.safetensors"), at("s-1.safetensors")]);
  expect([several.task, several.count]).toEqual(["regression", 3000]);
  expect(await all(several)).toEqual({ x: [...x], y: Array.from({ length: 6000 }, (_, i) => i / 8) });
  await expect(openStream(at("x-*.npy"))).rejects.toThrow(/No targets were given/);
  await expect(openStream(at("x-0.npy"), { targets: at("y-1.npy") })).rejects.toThrow(/2000 labels for the 1000 rows/);
  const broken = x.slice();
  broken[17_003] = Number.NaN;
  await writeFile(at("nan.npy"), encodeNpy({ shape: [3000, 10], data: broken }));
  await writeFile(at("y.npy"), encodeNpy({ shape: [3000], data: Float32Array.from({ length: 3000 }, (_, i) => i) }));
  await expect(openStream(at("nan.npy"), { targets: at("y.npy") })).rejects.toThrow(
    /nan\.npy, row 1701, column 4: the number is NaN/,
  );
  await expect(openStream(at("y.npy"), { targets: at("y.npy") })).rejects.toThrow(/inputs have shape \[256\]/);
  await writeFile(at("z.safetensors"), encodeSafetensors({ x: shard(0, 10) }));
  await expect(openStream(at("z.safetensors"))).rejects.toThrow(/no tensor "y"; it holds x/);
});

/** A PNG of one grey level. */
const dot = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg==",
  "base64",
);

test("folders of images", async () => {
  for (const name of ["cat", "dog"]) {
    await mkdir(at(`pets/${name}`), { recursive: true });
    for (let i = 0; i < 5; i++) await writeFile(at(`pets/${name}/${i}.png`), dot);
  }
  const [stream, whole] = [await openStream(at("pets")), await readImageFolder(at("pets"))];
  const { x, y } = await all(stream);
  expect([stream.count, stream.inputShape, stream.classes]).toEqual([whole.count, whole.inputShape, whole.classes]);
  expect(Uint8Array.from(x)).toEqual(whole.x);
  expect(Int32Array.from(y)).toEqual(whole.y);
  const cache = at("pixels");
  expect(await all(await openStream(at("pets"), { cache }))).toEqual({ x, y });
  await appendFile(at("pets/dog/3.png"), "!");
  await expect(all(stream)).rejects.toThrow(/3\.png: the file changed/);
  // An image that changed makes another entry.
  const kept = (await readdir(cache)).length;
  await openStream(at("pets"), { cache });
  expect((await readdir(cache)).length).toBe(2 * kept);
});

const table = `a,kind,y\n${Array.from({ length: 9000 }, (_, i) => `${i / 4},${["x", "y", "z"][i % 3]},${i % 2}`).join("\n")}\n`;

test("decoded rows are kept, found again, limited and removed; zipped tables and Parquet need them", async () => {
  await writeFile(at("table.csv"), table);
  await writeFile(at("table.csv.gz"), gzipSync(table));
  const whole = await readCsv(at("table.csv"), { target: "y" });
  const cache = at("decoded");
  const first = await openStream(at("table.csv"), { target: "y", cache });
  const rows = await all(first);
  expect(Float32Array.from(rows.x)).toEqual(whole.x);
  expect(Int32Array.from(rows.y)).toEqual(whole.y);
  const kept = async () => (await readdir(cache)).sort();
  const [, name] = await kept();
  const written = (await stat(join(cache, name))).mtimeMs;
  const again = await openStream(at("table.csv"), { target: "y", cache });
  expect((await stat(join(cache, name))).mtimeMs).toBe(written);
  const facts = ({ count, schema, features, classes, classCounts, fingerprint, statistics }: DataStream) => ({
    ...{ count, schema, features, classes, classCounts, fingerprint, statistics },
  });
  expect(facts(again)).toEqual(facts(first));
  expect(await all(again, { shuffle: true, epoch: 3, from: 4000 })).toEqual(
    await all(first, { shuffle: true, epoch: 3, from: 4000 }),
  );
  // Split and mixed as without.
  const plain = await openStream(at("table.csv"), { target: "y" });
  const sorted = async (stream: DataStream) => (await all(stream.split(0.7)[1])).x.join();
  expect(await sorted(again)).toBe(await sorted(plain));
  const zipped = await openStream(at("table.csv.gz"), { target: "y", cache });
  expect(await all(zipped)).toEqual(rows);
  const parquet = join(fixtures, "fruit.parquet");
  const ripe = { target: "ripe", missing: "drop" } as const;
  const fruit = await readCsv(parquet, ripe);
  expect(Float32Array.from((await all(await openStream(parquet, { ...ripe, cache }))).x)).toEqual(fruit.x);
  await expect(all(await openStream(parquet, ripe))).rejects.toThrow(/Parquet.*cache/);
  // Other options, another entry; a file that changed, too.
  const before = (await kept()).length;
  await openStream(at("table.csv"), { target: "y", cache, ignore: ["kind"] });
  await appendFile(at("table.csv"), "1,x,0\n");
  expect((await openStream(at("table.csv"), { target: "y", cache })).count).toBe(9001);
  expect((await kept()).length).toBe(before + 4);
  await expect(openStream(at("table.csv.gz"), { target: "y", cache, cacheLimit: 1e5, ignore: ["a"] })).rejects.toThrow(
    /take more than the 0.0001 GB/,
  );
  expect((await kept()).length).toBe(before + 4); // nothing half is left
  await writeFile(join(cache, "mine.txt"), "mine");
  expect(await clearCache(cache)).toBeGreaterThan(200_000);
  expect(await kept()).toEqual(["mine.txt"]);
  await expect(clearCache(at("nowhere"))).rejects.toThrow(/no such file or directory/);
});

test("rows that were cut on the disk are not believed", async () => {
  await writeFile(at("cut.csv"), table);
  const cache = at("cut");
  await openStream(at("cut.csv"), { target: "y", cache });
  const [name] = (await readdir(cache)).filter((each) => each.endsWith(".rows"));
  await truncate(join(cache, name), 1000);
  expect((await all(await openStream(at("cut.csv"), { target: "y", cache }))).y.length).toBe(9000);
});
