/** Keras's files: they predict what NumPy computes from Keras's formulas (test/fixtures/keras/make.py, which says how they were made). */
import { readFileSync } from "node:fs";

import { ChainruleError, fromBytes } from "chainrule";
import { fromKeras } from "chainrule/interchange";
import { describe, expect, test } from "vitest";
import { readDirectory, unpack } from "../../src/data/zip.ts";
import { fixture } from "../support/fixtures.ts";
import { zipped } from "../support/zip.ts";

interface Expected {
  readonly shape: readonly number[];
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly loss?: string;
}

const expected = fixture<Record<string, Expected>>("keras/expected");
const file = (name: string): string => new URL(`../fixtures/keras/${name}`, import.meta.url).pathname;
const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(file(name)));

const farthest = (actual: ArrayLike<number>, wanted: readonly number[]): number => {
  expect(actual.length).toBe(wanted.length);
  return Math.max(...wanted.map((value, i) => Math.abs(actual[i] - value)));
};

test("every fixture is there", () => expect(Object.keys(expected).length).toBe(11));

describe.each(Object.keys(expected))("%s", (name) => {
  const { shape, x, y, loss } = expected[name];
  test("predicts what its formulas give, before and after it is saved", async () => {
    const model = await fromKeras(bytesOf(name));
    expect(model.inputShape).toEqual(shape);
    expect(model.details.loss).toBe(loss);
    const predicted = await model.predict([...x]);
    expect(farthest(predicted, y)).toBeLessThan(1e-5);
    expect(await fromBytes(model.toBytes()).predict([...x])).toEqual(predicted);
  });
});

/** The files in a .keras file. */
async function unzipped(name: string): Promise<Record<string, Uint8Array>> {
  const bytes = bytesOf(name);
  const fail = (message: string) => new Error(message);
  const entries = readDirectory(bytes, fail).map(async (entry) => [entry.name, await unpack(bytes, entry, fail)]);
  return Object.fromEntries(await Promise.all(entries));
}

interface Described {
  class_name: string;
  config: { layers: Described[]; name: string; [key: string]: unknown };
  [key: string]: unknown;
}

async function changed(name: string, change: (config: Described) => void): Promise<unknown> {
  const files = await unzipped(name);
  const config = JSON.parse(new TextDecoder().decode(files["config.json"]));
  change(config);
  return fromKeras(zipped({ ...files, "config.json": JSON.stringify(config) })).catch((error) => error);
}

test.each<[string, (config: Described) => void, RegExp]>([
  ["code in a file", ({ config }) => (config.layers[3].class_name = "Lambda"), /"conv2d"|Lambda/],
  ["a class of one's own", (config) => (config.class_name = "MyModel"), /class of its own, "MyModel"/],
  [
    "other settings",
    ({ config }) => (config.layers[2].config.kernel_size = [5, 5]),
    /conv2d.kernel should have shape \[5, 5, 1, 4\]/,
  ],
  ["layers that are none", ({ config }) => (config.layers = [3 as never]), /layer 1 should be/],
  ["two of one name", ({ config }) => (config.layers[3].config.name = "conv2d"), /different names/],
  [
    "a size beyond memory",
    ({ config }) => (config.layers[10].config.units = 2 ** 50),
    /Layer "dense" gives .* for one sample/,
  ],
])("refused: %s", async (_, change, message) => {
  const error = await changed("images.keras", change);
  expect(error).toBeInstanceOf(ChainruleError);
  expect(String(error)).toMatch(message);
});

test("models that lie in one another and are applied again and again come to an end", async () => {
  // Each applies the one in it twice: 2¹⁵ layers.
  const bomb = (depth: number): Described => {
    const input = {
      class_name: "InputLayer",
      name: "x",
      config: { name: "x", batch_shape: [null, 3] },
      inbound_nodes: [],
    };
    const inner =
      depth === 0
        ? { class_name: "ReLU", name: "f", config: { name: "f" } }
        : { ...bomb(depth - 1), name: "f", module: "keras" };
    const before = depth === 0 ? 0 : 1;
    const one = (name: string, call: number) => [[[name, call, 0, {}]]];
    const layers = [input, { ...inner, inbound_nodes: [...one("x", 0), ...one("f", before)] }];
    return {
      class_name: "Functional",
      config: { name: "f", layers: layers as never, input_layers: ["x", 0, 0], output_layers: ["f", before + 1, 0] },
    };
  };
  const error = await changed("images.keras", (config) => Object.assign(config, bomb(15)));
  expect(error).toMatchObject({ name: "DataError" });
  expect(String(error)).toMatch(/more than 20000 layers/);
});

test("files that are no models say so", async () => {
  const files = await unzipped("images.keras");
  const { "config.json": config, "model.weights.h5": weights } = files;
  const refused = (bytes: Uint8Array) => fromKeras(bytes).catch(String);
  expect(await refused(weights)).toMatch(/weights and no layers, as save_weights/);
  expect(await refused(zipped({ "config.json": config }))).toMatch(/where config.json and model.weights.h5 should be/);
  expect(await refused(zipped({ ...files, "config.json": "{" }))).toMatch(/"config.json" that is no JSON/);
  expect(await refused(new TextEncoder().encode("text"))).toMatch(/HDF5 file is damaged: it does not begin as one/);
  // What zeros make of a megabyte, a thousandth of it.
  const bomb = zipped({ ...files, "model.weights.h5": new Uint8Array(100) });
  const at = bomb.length - 22 - 46 - "model.weights.h5".length;
  new DataView(bomb.buffer).setUint32(at + 24, 2 ** 31, true);
  expect(await refused(bomb)).toMatch(/2147483648 bytes in 100, which no model has/);
});
