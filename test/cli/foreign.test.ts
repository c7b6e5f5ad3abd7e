/** The command takes Keras's files and layers models of TensorFlow.js: as they are, and imported. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fixture } from "../support/fixtures.ts";
import { idx, Scratch } from "./command.ts";

const fixtureBytes = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/${name}`, import.meta.url)));

interface Expected {
  readonly x: readonly number[];
  readonly y: readonly number[];
}
const expected = fixture<Record<string, Expected>>("keras/expected");

/** A folder with a model of each kind. */
function folder(): Scratch {
  const scratch = new Scratch();
  for (const name of ["text.h5", "text.keras", "images.keras"]) scratch.write(name, fixtureBytes(`keras/${name}`));
  const { json, shards } = fixture<{ json: object; shards: Record<string, string> }>("tensorflow-js/sequences-1d");
  scratch.write("model.json", JSON.stringify(json));
  for (const [name, bytes] of Object.entries(shards)) scratch.write(name, new Uint8Array(Buffer.from(bytes, "base64")));
  return scratch;
}

/** The pictures of the fixture, each of the class that its formulas find likeliest. */
function pictures(scratch: Scratch): void {
  const { x, y } = expected["images.keras"];
  const classes = [0, 1, 2].map((row) => {
    const own = y.slice(6 * row, 6 * row + 6);
    return own.indexOf(Math.max(...own));
  });
  for (const set of ["train", "t10k"]) {
    scratch.write(`pictures/${set}-images-idx3-ubyte`, idx([3, 9, 8], Uint8Array.from(x)));
    scratch.write(`pictures/${set}-labels-idx1-ubyte`, idx([3], Uint8Array.from(classes)));
  }
}

describe.concurrent("files of Keras and TensorFlow.js", () => {
  test("are summed up, evaluated and asked as they are", async () => {
    const scratch = folder();
    pictures(scratch);
    const text = await scratch.run(["summary", "text.h5"]);
    expect([text.code, text.stdout]).toEqual([0, expect.stringMatching(/bidirectional {2}3 layers/)]);
    const sequence = await scratch.run(["summary", "model.json", "--json"]);
    expect(JSON.parse(sequence.stdout)).toMatchObject({ inputShape: [14, 2], outputShape: [4] });
    const scores = await scratch.run(["evaluate", "images.keras", "pictures", "--json"]);
    expect([scores.code, scores.stderr]).toEqual([0, expect.any(String)]);
    expect(JSON.parse(scores.stdout).test).toMatchObject({ rows: 3, accuracy: 1 });
    const image = await scratch.run(["summary", "images.keras"]);
    expect(image.stdout).toMatch(/loss +crossEntropy/);
  });

  test("are imported, keep their numbers, and are trained further", async () => {
    const scratch = folder();
    pictures(scratch);
    const done = await scratch.run(["import", "text.keras", "text.safetensors", "--classes", "no,yes"]);
    expect([done.code, done.stderr]).toEqual([2, expect.stringMatching(/--classes names 2, but the model gives 1/)]);
    const imported = await scratch.run(["import", "text.keras", "text.safetensors"]);
    expect([imported.code, imported.stdout]).toEqual([0, expect.stringMatching(/takes +\[6\]\ngives +\[1\]/)]);
    // Operations that only Keras has are known again when the file is read.
    const images = await scratch.run(["import", "images.keras", "images.safetensors"]);
    expect([images.code, images.stdout]).toEqual([0, expect.stringMatching(/gives +\[6\]/)]);
    const again = await scratch.run(["summary", "images.safetensors"]);
    expect([again.code, again.stdout]).toEqual([0, expect.stringMatching(/rescaling +rescale/)]);
    const trained = await scratch.run([
      "train",
      "pictures",
      "--from",
      "images.keras",
      "--epochs",
      "2",
      "--out",
      "x.safetensors",
    ]);
    expect([trained.code, trained.stderr]).toEqual([0, expect.any(String)]);
  });

  test.each<[string, string[], number, RegExp]>([
    ["an option of other files", ["import", "text.keras", "x.safetensors", "--input", "a"], 2, /--input is for ONNX/],
    ["a damaged file", ["summary", "cut.keras"], 1, /cut\.keras: The \.keras file has no directory at its end/],
    ["weights that are not there", ["summary", "alone/model.json"], 1, /group1-shard1of2\.bin/],
    ["JSON that is no model", ["summary", "data.json"], 1, /data\.json: .*no model of TensorFlow\.js/],
  ])("%s", async (_, args, code, message) => {
    const scratch = folder();
    scratch.write("cut.keras", fixtureBytes("keras/images.keras").subarray(0, 9000));
    scratch.write("alone/model.json", JSON.stringify(fixture<{ json: object }>("tensorflow-js/dense").json));
    scratch.write("data.json", '{"rows": [1, 2]}');
    const outcome = await scratch.run(args);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.code).toBe(code);
  });
});
