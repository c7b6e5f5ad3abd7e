/**
 * Files of Keras and TensorFlow.js, damaged at random in their bytes and in what their JSON says: each becomes a model or is
 * refused with an error of ours, in little time and memory. 400 files in the ordinary run; as many as CHAINRULE_FUZZ says in
 * the long one: CHAINRULE_FUZZ=100000 npx vitest run test/interchange/keras-fuzz.test.ts
 */
import { readFileSync } from "node:fs";
import { ChainruleError, type Model, RandomStream, reference } from "chainrule";
import { fromKeras, fromTensorflowJs } from "chainrule/interchange";
import { expect, test } from "vitest";
import { readDirectory, unpack } from "../../src/data/zip.ts";
import { fixture } from "../support/fixtures.ts";
import { zipped } from "../support/zip.ts";

const bytesOf = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/keras/${name}`, import.meta.url)));
const options = { backend: reference("float32") };

async function unzipped(name: string): Promise<Record<string, Uint8Array>> {
  const bytes = bytesOf(name);
  const fail = (message: string) => new Error(message);
  const entries = readDirectory(bytes, fail).map(async (entry) => [entry.name, await unpack(bytes, entry, fail)]);
  return Object.fromEntries(await Promise.all(entries));
}

interface Saved {
  readonly json: object;
  readonly shards: Readonly<Record<string, string>>;
}

/** A file of weights or of a model: its bytes, and the reading of them. */
interface Format {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Whether the bytes are JSON, which is damaged in what it says. */
  readonly isJson?: boolean;
  read(bytes: Uint8Array): Promise<Model>;
}

const text = (json: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(json));
const parsed = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

async function formats(): Promise<Format[]> {
  const all: Format[] = [];
  for (const name of ["images.keras", "images-new-form.keras", "wired.keras"]) {
    const files = await unzipped(name);
    const whole = (changed: object) => fromKeras(zipped({ ...files, ...changed }), options);
    all.push(
      { name, bytes: bytesOf(name), read: (bytes) => fromKeras(bytes, options) },
      {
        name: `${name}, HDF5`,
        bytes: files["model.weights.h5"],
        read: (bytes) => whole({ "model.weights.h5": bytes }),
      },
      {
        name: `${name}, JSON`,
        bytes: files["config.json"],
        isJson: true,
        read: (bytes) => whole({ "config.json": bytes }),
      },
    );
  }
  for (const name of ["text.h5", "text-new-form.h5", "functional.h5"])
    all.push({ name, bytes: bytesOf(name), read: (bytes) => fromKeras(bytes, options) });
  for (const name of ["dense", "convolutions", "wired", "sequences-1d", "packed"]) {
    const { json, shards } = fixture<Saved>(`tensorflow-js/${name}`);
    const find = (path: string) => new Uint8Array(Buffer.from(shards[path] ?? "", "base64"));
    all.push({
      name: `${name}, model.json`,
      bytes: text(json),
      isJson: true,
      read: async (bytes) => fromTensorflowJs(parsed(bytes), find, options),
    });
  }
  return all;
}

const EXTREMES = [0, 1, 0x7f, 0x80, 0xff];

/** Bytes that are changed, cut, moved, or made into the addresses and lengths of another place. */
function spoilBytes(whole: Uint8Array, stream: RandomStream): Uint8Array {
  const bytes = whole.slice(0, stream.uniform() < 0.1 ? stream.integer(whole.length) : whole.length);
  // What describes the rest stands in the first part of HDF5 files.
  const anywhere = () => stream.integer(stream.uniform() < 0.7 ? Math.min(bytes.length, 4000) : bytes.length);
  for (let k = 0; k <= stream.integer(4) && bytes.length > 16; k++) {
    const at = anywhere();
    const kind = stream.integer(5);
    if (kind === 0) bytes[at] ^= 1 << stream.integer(8);
    else if (kind === 1) bytes[at] = stream.integer(256);
    else if (kind === 2) bytes.fill(EXTREMES[stream.integer(EXTREMES.length)], at, at + 1 + stream.integer(8));
    else if (kind === 3) bytes.copyWithin(at, anywhere(), anywhere());
    else {
      const place = Math.min(bytes.length - 8, at & ~7);
      new DataView(bytes.buffer).setBigUint64(place, BigInt(stream.integer(bytes.length)), true);
    }
  }
  return bytes;
}

const STRANGE: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1,
  2,
  0.5,
  1e9,
  2 ** 31,
  2 ** 53,
  -(2 ** 53),
  "",
  "x",
  "same",
  "causal",
  "channels_first",
  "hard_sigmoid",
  [],
  [0],
  [null, 3],
  [1, 1, 1, 1],
  [[[["x", 0, 0]]]],
  {},
  { class_name: "Dense", config: {} },
  { class_name: "Sequential", config: [] },
  { __proto__: null, constructor: 1 },
];

/** JSON in which some values are others, are gone, or stand twice. */
function spoilJson(whole: Uint8Array, stream: RandomStream): Uint8Array {
  const root = { json: parsed(whole) };
  for (let k = 0; k <= stream.integer(3); k++) {
    let [holder, key]: [Record<string, unknown>, string] = [root, "json"];
    for (let depth = 0; depth < 14; depth++) {
      const value = holder[key];
      if (typeof value !== "object" || value === null || (depth > 2 && stream.uniform() < 0.12)) break;
      const keys = Object.keys(value);
      if (keys.length === 0) break;
      [holder, key] = [value as Record<string, unknown>, keys[stream.integer(keys.length)]];
    }
    const kind = stream.integer(6);
    if (kind === 0) delete holder[key];
    else if (kind === 1 && Array.isArray(holder)) holder.splice(Number(key), 0, structuredClone(holder[Number(key)]));
    else if (kind === 2 && typeof holder[key] === "number")
      holder[key] = (holder[key] as number) + stream.integer(5) - 2;
    else holder[key] = structuredClone(STRANGE[stream.integer(STRANGE.length)]);
  }
  return text(root.json ?? null);
}

const COUNT = Number(process.env.CHAINRULE_FUZZ ?? 400);

test(`${COUNT} damaged files are read or refused`, { timeout: 60_000 + COUNT * 30 }, async () => {
  const all = await formats();
  const stream = new RandomStream(3, "damage");
  for (const { name, bytes, read } of all)
    (await read(bytes).catch((error) => expect.fail(`${name}: ${error}`))).close();
  let refused = 0;
  for (let i = 0; i < COUNT; i++) {
    const { name, bytes, isJson, read } = all[i % all.length];
    const spoilt = isJson ? spoilJson(bytes, stream) : spoilBytes(bytes, stream);
    const start = performance.now();
    try {
      (await read(spoilt)).close();
    } catch (error) {
      refused++;
      if (!(error instanceof ChainruleError)) throw new Error(`${name}, file ${i}: ${error}`, { cause: error });
      expect(error.message.length, error.message).toBeGreaterThan(20);
      expect(error.message.length, error.message).toBeLessThan(3000);
    }
    // A file that is read without end would never come to this.
    expect(performance.now() - start, `${name}, file ${i}`).toBeLessThan(10_000);
  }
  expect(refused).toBeGreaterThan(COUNT * 0.3);
  expect(process.memoryUsage.rss()).toBeLessThan(2e9);
});
