/** Streams: what a pass finds, the rows they give, splits, orders, and what is said of bad files. Against readCsv and by hand. */
import { appendFile, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { RandomStream } from "chainrule";
import { type DataStream, statistics } from "chainrule/data";
import { openStream, readCsv } from "chainrule/data/node";
import { expect, test } from "vitest";

const directory = await mkdtemp(join(tmpdir(), "chainrule-stream-"));
let files = 0;
async function write(text: string | Uint8Array, ending = "csv"): Promise<string> {
  const path = join(directory, `${++files}.${ending}`);
  await writeFile(path, text);
  return path;
}

/** All rows of a stream, in the order in which it gives them. */
async function all(stream: DataStream, options: Parameters<DataStream["rows"]>[0] = {}) {
  const [x, y]: [number[], number[]] = [[], []];
  for await (const rows of stream.rows(options)) {
    x.push(...rows.x);
    y.push(...rows.y);
  }
  return { x, y };
}

/** A table of several blocks with columns of every kind, quotes, commas and line ends in cells, and letters beyond ASCII. */
function mixedTable(rows: number): string {
  const random = new RandomStream(3, "table");
  const kinds = ["rot", "grün, hell", 'so "blau"', "zwei\nZeilen"];
  let text = "size,colour,day,price,open,note,ripe\n";
  for (let i = 0; i < rows; i++) {
    const kind = kinds[random.integer(4)].replaceAll('"', '""');
    const day = new Date(1.6e12 + i * 3.7e6).toISOString().slice(0, 19);
    const price = `"$${1 + random.integer(9)},${100 + random.integer(900)}.50"`;
    text += `${(20 * random.uniform() - 10).toFixed(4)},"${kind}",${day}Z,${price},${random.integer(2) ? "yes" : "no"},${random.integer(9) ? 5 : ""},${random.integer(3)}\n`;
  }
  return text;
}

test("a table in blocks is the table that readCsv reads: schema, rows, statistics", async () => {
  const path = await write(mixedTable(6000));
  for (const missing of ["mean", "drop"] as const) {
    const options = { target: "ripe", missing, ignore: missing === "drop" ? ["price"] : [] };
    const [stream, whole] = [await openStream(path, options), await readCsv(path, options)];
    const { x, y } = await all(stream);
    // A mean that fills in is a sum in another order, and of numbers that memory keeps in 32 bits.
    const plain = ({ count, task, classes, features, schema, notes }: DataStream | typeof whole) =>
      JSON.stringify({ count, task, classes, features, schema, notes }, (key, value) =>
        key === "fill" && typeof value === "number" ? value.toPrecision(5) : value,
      );
    expect(plain(stream)).toBe(plain(whole));
    expect(x.map((v) => v.toPrecision(5))).toEqual(Array.from(whole.x, (v) => v.toPrecision(5)));
    expect(Int32Array.from(y)).toEqual(whole.y);
    const [found, wanted] = [stream.statistics, statistics(whole)];
    for (const [i, mean] of wanted.mean.entries()) {
      expect(found.mean[i]).toBeCloseTo(mean, 3);
      expect(found.deviation[i] / wanted.deviation[i]).toBeCloseTo(1, 5);
    }
    expect(stream.classCounts).toEqual([0, 1, 2].map((c) => whole.y.filter((label) => label === c).length));
    // By the schema of another table, without a pass to find one.
    const again = await openStream(path, { schema: whole.schema });
    expect(await all(again)).toEqual({ x, y });
    expect(again.fingerprint).toBe(stream.fingerprint);
  }
});

test("JSON lines, several files of one table, and tables without names", async () => {
  const objects = Array.from({ length: 5000 }, (_, i) => ({
    a: i % 7,
    b: `k${i % 3}`,
    "long name of a column": i / 2,
    y: i % 2,
  }));
  const lines = (some: typeof objects) => some.map((row) => JSON.stringify(row)).join("\n");
  const one = await openStream(await write(lines(objects), "jsonl"), { target: "y" });
  const parts = [
    await write(lines(objects.slice(0, 1800)), "jsonl"),
    await write(`${lines(objects.slice(1800))}\n`, "jsonl"),
  ];
  const many = await openStream(parts, { target: "y" });
  expect(many.count).toBe(5000);
  expect(await all(many)).toEqual(await all(one));
  const bare = await openStream(await write("1;2;0\n3;4;1\n5;6;0\n7;8;1\n"), { target: "3", header: false });
  expect(await all(bare)).toEqual({ x: [1, 2, 3, 4, 5, 6, 7, 8], y: [0, 1, 0, 1] });
  await write("a,y\n1,2\n", "tab.csv");
  await write("a,y\n3,4\n", "tab.csv");
  const found = await openStream(join(directory, "*.tab.csv"), { target: "y" });
  expect((await all(found)).x).toEqual([1, 3]);
});

/** 30,000 rows, number i and whether it is even, in some thirty blocks. */
const numbers = async () => {
  const rows = Array.from({ length: 30_000 }, (_, i) => `${i},${i % 2},${"0".repeat(100)}1.5`);
  return openStream(await write(`i,y,wide\n${rows.join("\n")}\n`), { target: "y", ignore: ["wide"] });
};

test("each epoch has every row once, in an order of its own that is the same for the same seed, from any row on", async () => {
  const stream = await numbers();
  const first = await all(stream, { shuffle: true, seed: 5 });
  expect(first.x.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30_000 }, (_, i) => i));
  expect(first.y).toEqual(first.x.map((i) => i % 2));
  expect(await all(stream, { shuffle: true, seed: 5 })).toEqual(first);
  expect((await all(stream, { shuffle: true, seed: 5, epoch: 1 })).x).not.toEqual(first.x);
  expect((await all(stream, { shuffle: true, seed: 6 })).x).not.toEqual(first.x);
  for (const from of [1, 17_003, 29_999, 30_000])
    expect((await all(stream, { shuffle: true, seed: 5, from })).x).toEqual(first.x.slice(from));
  // Rows that follow each other stand far from each other, as in a full shuffle: a third of the length on average.
  const place = new Int32Array(30_000);
  for (const [at, i] of first.x.entries()) place[i] = at;
  const apart = Array.from({ length: 29_999 }, (_, i) => Math.abs(place[i + 1] - place[i]));
  expect(apart.reduce((a, b) => a + b) / 29_999 / 10_000).toBeCloseTo(1, 1);
});

test("a split goes by what is in a row: equal rows are on one side, whatever comes before them", async () => {
  const stream = await numbers();
  const [train, held] = stream.split(0.8, { seed: 1 });
  const [a, b] = [await all(train), await all(held)];
  expect(train.count + held.count).toBe(30_000);
  expect([a.x.length, b.x.length]).toEqual([train.count, held.count]);
  expect(new Set([...a.x, ...b.x]).size).toBe(30_000);
  // Binomial: 6000 with a deviation of 69.
  expect(Math.abs(held.count - 6000)).toBeLessThan(350);
  expect(held.classCounts![0] + held.classCounts![1]).toBe(held.count);
  const mean = b.x.reduce((sum, v) => sum + v, 0) / b.x.length;
  expect(held.statistics.mean[0] / mean).toBeCloseTo(1, 5);
  expect((await all(held, { shuffle: true })).x.toSorted((p, q) => p - q)).toEqual(b.x);
  // The same rows in another order, each twice, go where they went.
  const twice = Array.from({ length: 60_000 }, (_, i) => `${(i * 7) % 30_000},${((i * 7) % 30_000) % 2}`);
  const other = await openStream(await write(`i,y\n${twice.join("\n")}\n`), { target: "y" });
  const [, also] = other.split(0.8, { seed: 1 });
  expect((await all(also)).x.toSorted((p, q) => p - q)).toEqual(b.x.flatMap((v) => [v, v]));
  const [, elsewhere] = stream.split([0.8, 0.2], { seed: 2 });
  expect((await all(elsewhere)).x).not.toEqual(b.x);
  // Of three parts, no row is in two.
  const thirds = stream.split([0.5, 0.3, 0.2]);
  expect(thirds.reduce((sum, { count }) => sum + count, 0)).toBe(30_000);
  expect(() => stream.split(1.5)).toThrow(/numbers above 0 that sum to at most 1/);
  expect(() => thirds[2].split([0.001])).toThrow(/would be empty/);
});

test("bins are even: chi squared of 100 bins over 30,000 rows of one number", async () => {
  const stream = await numbers();
  const parts = stream.split(Array.from({ length: 100 }, () => 0.01));
  const squared = parts.reduce((sum, { count }) => sum + (count - 300) ** 2 / 300, 0);
  expect(squared).toBeLessThan(150); // 99 degrees of freedom: beyond 148 once in 1,000
});

test("what is wrong in a file is named with file and row", async () => {
  const good = Array.from({ length: 9000 }, (_, i) => `${i / 8},${i % 5},${i % 2}`);
  const table = (rows: string[]) => write(`a,b,y\n${rows.join("\n")}\n`);
  const words = await table(good.with(8000, "seven,3,1"));
  await expect(openStream(words, { target: "y" })).rejects.toThrow(
    /\d+\.csv, row 8002, column "a": the value is "seven", but the column holds numbers/,
  );
  await expect(openStream(await table([...good, "1,2"]), { target: "y" })).rejects.toThrow(
    /row 9002: there are 2 fields, but 3 names/,
  );
  await expect(openStream(await table(good.with(8500, ",3,1")), { target: "y" })).rejects.toThrow(
    /row 8502, column "a": the value is missing/,
  );
  const [one, two] = [await table(good), await write("a,c,y\n1,2,3\n")];
  await expect(openStream([one, two], { target: "y" })).rejects.toThrow(
    /\d+\.csv, row 1: the columns are not those of the first file: it lacks "b", and it has "c" besides/,
  );
  await expect(openStream([one, await write("b,a,y\n1,2,3\n")], { target: "y" })).rejects.toThrow(
    /column 1 is "b", not "a"/,
  );
  await expect(openStream(one, {})).rejects.toThrow(/No target was given/);
  await expect(openStream(one, { target: "z" })).rejects.toThrow(/no column "z"/);
  await expect(openStream(join(directory, "none-*.csv"), { target: "y" })).rejects.toThrow(/no file has such a name/);
  await expect(openStream(join(directory, "none.csv"), { target: "y" })).rejects.toThrow(/no such file/);
  await expect(openStream(await write(""), { target: "y" })).rejects.toThrow(/the file is empty/);
  await expect(
    openStream(await write(Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from("a,y\n1,2\n", "utf16le")])), {
      target: "y",
    }),
  ).rejects.toThrow(/UTF-16/);
  await expect(openStream(await write('{"a":1,"y":2}\n{"a":1,', "jsonl"), { target: "y" })).rejects.toThrow(
    /row 2: the text is no JSON/,
  );
  const zipped = await openStream(await write(gzipSync("a,y\n1,2\n3,4\n"), "csv.gz"), { target: "y" });
  expect(zipped.count).toBe(2);
  await expect(all(zipped)).rejects.toThrow(/gzipped file can only be read from its beginning.*cache/);
});

test("files must stay what they were while they are read", async () => {
  const rows = `a,y\n${Array.from({ length: 5000 }, (_, i) => `${i},${i % 2}`).join("\n")}\n`;
  const changes: [(path: string) => Promise<void>, RegExp][] = [
    [(path) => appendFile(path, "7,1\n"), /\d+\.csv: the file changed.*it had \d+ bytes and has \d+/],
    [(path) => truncate(path, 9000), /the file changed/],
    [(path) => rm(path), /Cannot read .*no such file/],
  ];
  for (const [change, said] of changes) {
    const path = await write(rows);
    const stream = await openStream(path, { target: "y" });
    await change(path);
    await expect(all(stream)).rejects.toThrow(said);
    await stream.close();
  }
});
