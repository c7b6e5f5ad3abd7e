/**
 * Reads a table of 1,000,000 rows and 31 columns (257 MB, made here from a seed) with one reader, in a process of its own,
 * and prints the speed and the highest memory. Every reader ends with the same: all numbers in one Float32Array.
 *
 *   node bench/tasks/csv.mjs make FILE [SEED] [ROWS]
 *   node bench/tasks/csv.mjs read FILE chainrule|csv-parse|papaparse|udsv|readline
 */
import { createReadStream, createWriteStream, readFileSync, statSync } from "node:fs";
import { createInterface } from "node:readline";

const [task, file, ...rest] = process.argv.slice(2);

/** Marsaglia's xorshift, in [0, 1). */
function uniform(seed) {
  let state = (seed ^ 0x9e3779b9) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

async function make(seed = 1, rows = 1e6) {
  const random = uniform(Number(seed));
  const out = createWriteStream(file);
  const write = (text) => out.write(text) || new Promise((resolve) => out.once("drain", resolve));
  await write(`${Array.from({ length: 30 }, (_, i) => `x${i + 1}`)},y\n`);
  for (let from = 0; from < rows; from += 1000) {
    let text = "";
    for (let row = from; row < Math.min(rows, from + 1000); row++) {
      const cells = Array.from({ length: 30 }, () => (20 * random() - 10).toFixed(5));
      text += `${cells},${Number(cells[0]) > 0 ? 1 : 0}\n`;
    }
    await write(text);
  }
  await new Promise((resolve) => out.end(resolve));
}

/** Takes rows of texts. */
function collector() {
  let numbers = new Float32Array(1 << 20);
  let length = 0;
  return {
    row(fields) {
      if (length + fields.length > numbers.length) {
        const larger = new Float32Array(numbers.length * 2);
        larger.set(numbers);
        numbers = larger;
      }
      for (const field of fields) numbers[length++] = Number(field);
    },
    get length() {
      return length;
    },
  };
}

const READERS = {
  async chainrule() {
    const { readCsv } = await import("../../dist/data/node.js");
    const { x, y } = await readCsv(file, { target: "y" });
    return x.length + y.length;
  },
  async "csv-parse"() {
    const { parse } = await import("csv-parse");
    const all = collector();
    for await (const row of createReadStream(file).pipe(parse({ from_line: 2 }))) all.row(row);
    return all.length;
  },
  async papaparse() {
    const { default: Papa } = await import("papaparse");
    const all = collector();
    let line = 0;
    await new Promise((complete, error) =>
      Papa.parse(createReadStream(file), {
        step: ({ data }) => line++ && data.length > 1 && all.row(data),
        complete,
        error,
      }),
    );
    return all.length;
  },
  async udsv() {
    const { inferSchema, initParser } = await import("udsv");
    const all = collector();
    let parser;
    for await (const piece of createReadStream(file, { encoding: "utf8" })) {
      parser ??= initParser(inferSchema(piece));
      parser.chunk(piece, parser.stringArrs, all.row);
    }
    parser.end();
    return all.length;
  },
  async readline() {
    const all = collector();
    let line = 0;
    for await (const text of createInterface({ input: createReadStream(file) })) if (line++) all.row(text.split(","));
    return all.length;
  },
};

if (task === "make") await make(...rest);
else {
  const begin = performance.now();
  const count = await READERS[rest[0]]();
  const seconds = (performance.now() - begin) / 1000;
  const peak = /VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"));
  console.log(
    `${rest[0]}: ${count} numbers, ${seconds.toFixed(1)} s, ${(statSync(file).size / 1e6 / seconds).toFixed(0)} MB/s, peak ${Math.round(Number(peak?.[1]) / 1024)} MiB`,
  );
}
