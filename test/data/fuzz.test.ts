/**
 * Files of every format, damaged at random: each must be read or refused with a `DataError` that says something, in
 * little time and memory; and what is written must come back. 2,000 files in the ordinary run; the nightly form makes
 * as many as the environment variable CHAINRULE_FUZZ says: CHAINRULE_FUZZ=100000 npx vitest run test/data/fuzz.test.ts
 */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ShapedArray } from "../../src/data/arrays.ts";
import { crc32 } from "../../src/data/crc32.ts";
import { checkDataset } from "../../src/data/dataset.ts";
import { decodeIdx } from "../../src/data/idx.ts";
import { decodeImage, normalizeDigit } from "../../src/data/images.ts";
import { inflate, inflateByStream } from "../../src/data/inflate.ts";
import { decodeNpy, encodeNpy, npzToDatasets } from "../../src/data/npy.ts";
import { decodeSafetensors, encodeSafetensors } from "../../src/data/safetensors.ts";
import { parseSchema } from "../../src/data/schema.ts";
import { encodeTable, readTable } from "../../src/data/table.ts";
import { DataError } from "../../src/errors.ts";
import { readTorch } from "../../src/interchange/torch/read-torch.ts";
import { torchZip, zipEntries } from "../support/torch-file.ts";

const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`../fixtures/data/${name}`, import.meta.url)));
const pictures = JSON.parse(new TextDecoder().decode(fixture("images.json"))) as Record<string, { file: string }>;
const picture = (name: string) => new Uint8Array(Buffer.from(pictures[name].file, "base64"));
const utf8 = (text: string) => new TextEncoder().encode(text);

const torchFile = (name: string) => new Uint8Array(readFileSync(new URL(`../fixtures/torch/${name}`, import.meta.url)));
/** The parts of a file of PyTorch's, so that the pickle can be damaged behind its check sum. */
const torchEntries = await zipEntries(torchFile("types.pt"));
const torchPickle = torchEntries["types/data.pkl"];

const CSV =
  'n,c,w,d,y\n1.5,"red, ""dark""",yes,2024-01-31,a\r\n2,blue,no,2024-02-01T10:00:00+01:00,b\n-3e2,red,yes,2023-12-31,a\n';
const table = await readTable(CSV, { target: "y" });
const idx = new Uint8Array([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, ...Array(12).keys()]);

async function readCsvBytes(bytes: Uint8Array): Promise<void> {
  checkDataset(await readTable(bytes, { target: "y", missing: "mean" }));
}
async function readImage(bytes: Uint8Array): Promise<void> {
  const image = await decodeImage(bytes);
  expect(image.data.length).toBe(image.width * image.height * image.channels);
  try {
    normalizeDigit(image);
  } catch (error) {
    if (!(error instanceof DataError)) throw error; // blank, for most of these
  }
}

/** For each format a whole file, its reader, and how to make check sums right again, so that damage gets behind them. */
const FORMATS: {
  name: string;
  file: Uint8Array;
  read: (bytes: Uint8Array) => unknown;
  mend?: (bytes: Uint8Array) => Uint8Array;
}[] = [
  { name: "safetensors", file: fixture("all-types.safetensors"), read: (bytes) => decodeSafetensors(bytes) },
  { name: "IDX", file: idx, read: (bytes) => decodeIdx(bytes) },
  { name: "IDX, gzipped", file: new Uint8Array(gzipSync(idx)), read: (bytes) => decodeIdx(bytes) },
  { name: "NPY", file: fixture("fortran.npy"), read: (bytes) => decodeNpy(bytes) },
  { name: "NPZ", file: fixture("arrays.npz"), read: (bytes) => npzToDatasets(bytes) },
  { name: "CSV", file: utf8(CSV), read: readCsvBytes },
  { name: "CSV by a schema", file: utf8(CSV), read: (bytes) => encodeTable(table.schema, bytes) },
  {
    name: "schema",
    file: utf8(JSON.stringify(table.schema)),
    read: (bytes) => parseSchema(JSON.parse(new TextDecoder().decode(bytes))),
  },
  { name: "PNG", file: picture("colour and alpha 8"), read: readImage, mend: mendPng },
  { name: "PNG with a palette", file: picture("palette with alpha"), read: readImage, mend: mendPng },
  { name: "PNG, interlaced", file: picture("interlaced grey 2"), read: readImage, mend: mendPng },
  { name: "JPEG", file: picture("JPEG subsampled"), read: readImage },
  { name: "JPEG, progressive", file: picture("JPEG progressive"), read: readImage },
  { name: "PyTorch", file: torchFile("checkpoint.pt"), read: (bytes) => readTorch(bytes), mend: mendZip },
  { name: "PyTorch, packed", file: torchFile("types-deflated.pt"), read: (bytes) => readTorch(bytes), mend: mendZip },
  { name: "PyTorch before 1.6", file: torchFile("types-legacy.pt"), read: (bytes) => readTorch(bytes) },
  {
    name: "PyTorch's pickle",
    file: torchPickle,
    read: (bytes) => readTorch(torchZip({ ...torchEntries, "types/data.pkl": bytes })),
  },
];

/** Makes the check sums of what is not packed right. */
function mendZip(bytes: Uint8Array): Uint8Array {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = view.getUint32(bytes.length - 6, true);
    for (; view.getUint32(at, true) === 0x02014b50; at += 46 + view.getUint16(at + 28, true)) {
      const local = view.getUint32(at + 42, true);
      const begin = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      view.setUint32(at + 16, crc32(bytes.subarray(begin, begin + view.getUint32(at + 20, true))), true);
    }
  } catch {
    // no directory to mend
  }
  return bytes;
}

function mendPng(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.length) break;
    view.setUint32(at + 8 + length, crc32(bytes.subarray(at + 4, at + 8 + length)));
    at += 12 + length;
  }
  return bytes;
}

/** One kind of damage at a place, given as a share of the length. */
const damage = fc.record({
  kind: fc.constantFrom("flip", "byte", "extreme", "cut", "remove", "insert", "repeat", "digit"),
  place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  value: fc.nat(0xffff),
});
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

const EXTREMES = [0, 1, 0x7f, 0x80, 0xff];
const TELLING = utf8("0123456789-.eE,\"\n\r[]{}:;'()\\ ");

function spoil(file: Uint8Array, { kind, place, value }: Damage): Uint8Array {
  const at = Math.floor(place * file.length);
  const count = 1 + (value % 8);
  const out = file.slice();
  if (kind === "flip") out[at] ^= 1 << (value & 7);
  else if (kind === "byte") out[at] = value;
  else if (kind === "digit") out[at] = TELLING[value % TELLING.length];
  else if (kind === "extreme") out.fill(EXTREMES[value % EXTREMES.length], at, at + count);
  else if (kind === "cut") return out.slice(0, at);
  else if (kind === "remove") return new Uint8Array([...out.subarray(0, at), ...out.subarray(at + count)]);
  else if (kind === "insert")
    return new Uint8Array([
      ...out.subarray(0, at),
      ...TELLING.subarray(value % 20, (value % 20) + count),
      ...out.subarray(at),
    ]);
  else
    return new Uint8Array([
      ...out.subarray(0, at),
      ...out.subarray(Math.max(0, at - 10 * count), at),
      ...out.subarray(at),
    ]);
  return out;
}

/** Reads; gives whether the file was refused. Anything but a `DataError` fails the test, as does a reader that is slow. */
async function refused(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array): Promise<boolean> {
  const start = performance.now();
  try {
    await read(bytes);
    return false;
  } catch (error) {
    if (error instanceof SyntaxError && read === FORMATS[7].read) return true; // JSON.parse, which the test calls
    if (!(error instanceof DataError)) throw error;
    expect(error.message.length).toBeGreaterThan(20);
    expect(error.message.length).toBeLessThan(1000);
    return true;
  } finally {
    expect(performance.now() - start).toBeLessThan(3000);
  }
}

const RUNS = Number(process.env.CHAINRULE_FUZZ ?? 2000);

test(`${RUNS} malformed files: read, or refused with a DataError`, { timeout: 60_000 + RUNS * 20 }, async () => {
  for (const { name, file, read } of FORMATS) expect([name, await refused(read, file)]).toEqual([name, false]);
  const before = process.memoryUsage.rss();
  let refusals = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...FORMATS),
      fc.array(damage, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      async (format, damages, mend) => {
        const spoilt = damages.reduce(spoil, format.file);
        if (await refused(format.read, mend && format.mend ? format.mend(spoilt) : spoilt)) refusals++;
      },
    ),
    { numRuns: RUNS, ...(process.env.CHAINRULE_FUZZ === undefined ? { seed: 7 } : {}) },
  );
  expect(refusals).toBeGreaterThan(RUNS * 0.3);
  expect(process.memoryUsage.rss() - before).toBeLessThan(400e6);
});

test("a file of any format that ends early is refused, wherever it ends", async () => {
  for (const { name, file, read } of FORMATS) {
    if (name.startsWith("CSV")) continue; // a table may end anywhere between rows
    for (let length = 0; length < file.length; length++)
      if (!(await refused(read, file.subarray(0, length))))
        // A JPEG image is whole without its last two bytes, the end marker; a gzip file is not.
        expect([name, file.length - length]).toEqual([
          expect.stringMatching(/^JPEG/),
          expect.toSatisfy((left: number) => left <= 2),
        ]);
  }
});

test("random bytes are refused", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...FORMATS), fc.uint8Array({ maxLength: 200 }), async ({ read, name }, bytes) => {
      const refusal = await refused(read, bytes);
      if (!name.startsWith("CSV")) expect(refusal).toBe(true);
    }),
    { numRuns: 300 },
  );
});

const shaped = fc.array(fc.nat(3), { maxLength: 3 }).chain((shape) => {
  const length = shape.reduce((product, n) => product * n, 1);
  const of = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: length, maxLength: length });
  return fc
    .oneof(
      of(fc.double()).map((values) => Float64Array.from(values)),
      of(fc.float()).map((values) => Float32Array.from(values)),
      of(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)).map((values) => BigInt64Array.from(values)),
      of(fc.integer()).map((values) => Int32Array.from(values)),
      of(fc.nat(255)).map((values) => Uint8Array.from(values)),
    )
    .map((data): ShapedArray => ({ shape, data }));
});

test("any tensors and metadata come back from safetensors, any array from NPY", () => {
  const name = fc.string({ unit: "binary" }).filter((text) => text !== "__metadata__");
  const tensors = fc.array(fc.tuple(name, shaped), { maxLength: 5 }).map((entries) => new Map(entries));
  const metadata = fc.array(fc.tuple(fc.string({ unit: "binary" }), fc.string({ unit: "binary" })), { maxLength: 3 });
  fc.assert(
    fc.property(tensors, metadata.map(Object.fromEntries), (given, notes: Record<string, string>) => {
      const file = decodeSafetensors(encodeSafetensors(given, notes));
      expect(Object.entries(file.metadata).sort()).toEqual(Object.entries(notes).sort());
      expect(file.tensors.size).toBe(given.size);
      for (const [key, { shape, data }] of given) expect(file.tensors.get(key)).toMatchObject({ shape, data });
    }),
  );
  fc.assert(
    fc.property(shaped, (array) => {
      expect(decodeNpy(encodeNpy(array))).toEqual(array);
    }),
  );
});

test("unpacking stops at its limit, in Node and by the standard stream", async () => {
  const bomb = gzipSync(new Uint8Array(2 ** 28));
  const before = process.resourceUsage().maxRSS;
  for (const unpack of [inflate, inflateByStream])
    await expect(unpack(bomb, "gzip", 2 ** 20)).rejects.toThrow(/unpacks to more than 1048576 bytes/);
  expect(process.resourceUsage().maxRSS - before).toBeLessThan(100_000); // kilobytes
});
