/** Layers models of TensorFlow.js: they predict what TensorFlow.js predicted (test/fixtures/tensorflow-js/make.mjs). */
import { mkdtempSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChainruleError, fromBytes } from "chainrule";
import { fromTensorflowJs } from "chainrule/interchange";
import { expect, test } from "vitest";
import { fixture } from "../support/fixtures.ts";

interface Saved {
  readonly json: Record<string, unknown>;
  readonly shards: Readonly<Record<string, string>>;
  readonly shape: readonly number[];
  readonly x: readonly number[];
  readonly y: readonly number[];
}

const names = readdirSync(new URL("../fixtures/tensorflow-js", import.meta.url))
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.replace(/\.json$/, ""));
const saved = (name: string): Saved => fixture<Saved>(`tensorflow-js/${name}`);
const shardsOf =
  ({ shards }: Saved) =>
  (path: string): Uint8Array =>
    new Uint8Array(Buffer.from(shards[path], "base64"));

const farthest = (actual: ArrayLike<number>, wanted: readonly number[]): number => {
  expect(actual.length).toBe(wanted.length);
  return Math.max(...wanted.map((value, i) => Math.abs(actual[i] - value)));
};

test.each(names)("%s predicts what TensorFlow.js predicts, before and after it is saved", async (name) => {
  const one = saved(name);
  const model = await fromTensorflowJs(one.json, shardsOf(one));
  expect(model.inputShape).toEqual(one.shape);
  const y = await model.predict([...one.x]);
  expect(farthest(y, one.y)).toBeLessThan(1e-5);
  expect(await fromBytes(model.toBytes()).predict([...one.x])).toEqual(y);
});

test("every fixture is there", () => expect(names.length).toBe(8));

test("layers keep their names, and training goes on", async () => {
  const one = saved("convolutions");
  const model = await fromTensorflowJs(one.json, shardsOf(one));
  expect(model.network.layers.map(({ name }) => name)).toContain("separable_conv2d_SeparableConv2D1");
  model.freeze("conv2d_Conv2D1");
  const before = model.weight("conv2d_Conv2D1.kernel");
  const { loss } = await model.evaluate({ x: [...one.x], y: [0, 1, 2] }, { loss: "crossEntropy" });
  const history = await model.fit({ x: [...one.x], y: [0, 1, 2] }, { loss: "crossEntropy", epochs: 20 });
  expect(history[19].loss).toBeLessThan(loss);
  expect(model.weight("conv2d_Conv2D1.kernel")).toEqual(before);
});

test("what a save handler of TensorFlow.js is given is read as it is", async () => {
  const one = saved("dense");
  const { weightsManifest, ...head } = one.json as { weightsManifest: { weights: unknown }[] };
  const weightData = Buffer.concat(Object.keys(one.shards).map((path) => shardsOf(one)(path)));
  const model = await fromTensorflowJs({ ...head, weightSpecs: weightsManifest[0].weights, weightData });
  expect(farthest(await model.predict([...one.x]), one.y)).toBeLessThan(1e-5);
});

function folder(one: Saved): string {
  const path = mkdtempSync(join(tmpdir(), "tensorflow-js-"));
  for (const name of Object.keys(one.shards)) writeFileSync(join(path, name), shardsOf(one)(name));
  writeFileSync(join(path, "model.json"), JSON.stringify(one.json));
  return path;
}

test("a path is read with the files of its own folder, and with no others", async () => {
  const one = saved("wired");
  const path = folder(one);
  const model = await fromTensorflowJs(join(path, "model.json"));
  expect(farthest(await model.predict([...one.x]), one.y)).toBeLessThan(1e-5);

  const other = (paths: string[]) => ({
    ...one.json,
    weightsManifest: [{ ...(one.json.weightsManifest as object[])[0], paths }],
  });
  for (const outside of ["../secret.bin", "/etc/hostname", "a/../../secret.bin", "\0"]) {
    writeFileSync(join(path, "model.json"), JSON.stringify(other([outside])));
    await expect(fromTensorflowJs(join(path, "model.json"))).rejects.toThrow(/outside the model's own folder/);
  }
  symlinkSync("/etc/hostname", join(path, "link.bin"));
  writeFileSync(join(path, "model.json"), JSON.stringify(other(["link.bin"])));
  await expect(fromTensorflowJs(join(path, "model.json"))).rejects.toThrow(/outside the model's own folder/);
});

/** A model of the fixture with its description or its weights changed. */
const changed = async (change: (json: Topology) => void): Promise<unknown> => {
  const one = saved("convolutions");
  const json = structuredClone(one.json) as unknown as Topology;
  change(json);
  return fromTensorflowJs(json, shardsOf(one)).catch((error) => error);
};
interface Topology {
  format: string;
  modelTopology: { config: { layers: { class_name: string; config: Record<string, unknown> }[] } };
  weightsManifest: { weights: { name: string; shape: number[]; dtype: string; quantization?: object }[] }[];
}

test("what is not known is named, all of it at once", async () => {
  const error = await changed(({ modelTopology }) => {
    modelTopology.config.layers[1].class_name = "ConvLSTM2D";
    modelTopology.config.layers[4].class_name = "Mystery";
  });
  expect(error).toMatchObject({ code: "unknown-operator", facts: { unknown: ["ConvLSTM2D", "Mystery"] } });
  expect(String(error)).toContain('"batch_normalization_BatchNormalization4" (ConvLSTM2D)');
});

test.each<[string, (json: Topology) => void, RegExp]>([
  ["a graph model", (json) => (json.format = "graph-model"), /graph model.*fromOnnx/],
  ["no model", (json) => Reflect.deleteProperty(json, "modelTopology"), /no model of TensorFlow\.js/],
  [
    "a weight too few",
    (json) => (json.weightsManifest[0].weights[0].name = "other/kernel"),
    /no weight "kernel" of layer "conv2d_Conv2D1"/,
  ],
  [
    "a weight too many",
    (json) => json.weightsManifest[0].weights.push({ name: "a/b", shape: [0], dtype: "float32" }),
    /no layer takes: a\/b/,
  ],
  ["too few bytes", (json) => (json.weightsManifest[0].weights[0].shape = [30, 20, 10, 4]), /cut short/],
  ["no shape", (json) => (json.weightsManifest[0].weights[0].shape = [-3]), /should have a shape/],
  ["strings", (json) => (json.weightsManifest[0].weights[0].dtype = "string"), /of a type of float32/],
  [
    "another padding",
    ({ modelTopology }) => (modelTopology.config.layers[0].config.padding = "full"),
    /padding "full"/,
  ],
  [
    "filters of text",
    ({ modelTopology }) => (modelTopology.config.layers[0].config.filters = "many"),
    /filters should be a whole number; "many" came/,
  ],
  [
    "other filters",
    ({ modelTopology }) => (modelTopology.config.layers[0].config.filters = 5),
    /conv2d_Conv2D1.kernel should have shape \[3, 2, 2, 5\]; \[3, 2, 2, 4\] came/,
  ],
  [
    "filters below 1",
    ({ modelTopology }) => (modelTopology.config.layers[0].config.filters = -1),
    /Layer "conv2d_Conv2D1" \(Conv2D\) cannot be made/,
  ],
  [
    "no shape of the input",
    ({ modelTopology }) => (modelTopology.config.layers[0].config.batch_input_shape = [null, null, 11, 2]),
    /\[\?, 11, 2\]. Say the shape/,
  ],
])("refused: %s", async (_, change, message) => {
  const error = await changed(change);
  expect(error).toBeInstanceOf(ChainruleError);
  expect(String(error)).toMatch(message);
});

test("masks are refused where a layer would heed them in another way than ours", async () => {
  const one = saved("recurrent");
  const json = structuredClone(one.json) as unknown as Topology;
  const { layers } = json.modelTopology.config;
  layers[0].config.mask_zero = true;
  layers[1] = { class_name: "GlobalMaxPooling1D", config: { name: "max" } };
  await expect(fromTensorflowJs(json, shardsOf(one))).rejects.toThrow(/"max" .*masks.*mask_zero/);
});
