/** `train FILE.txt` and `generate`, `export` and `import`: as a user runs them, and what beginners do. */
import { beforeAll, describe, expect, test } from "vitest";
import { fruit, Scratch } from "./command.ts";

const scratch = new Scratch();
const TEXT = "the cat sat on the mat. the dog sat on the log. ".repeat(30);
let trained: Awaited<ReturnType<Scratch["run"]>>;

beforeAll(async () => {
  scratch.write("cats.txt", TEXT);
  scratch.write("short.txt", "too short");
  scratch.write("fruit.csv", fruit(100));
  [trained] = await Promise.all([
    scratch.run(["train", "cats.txt", "--epochs", "6", "--json"]),
    scratch.run(["train", "fruit.csv", "--target", "state", "--quiet", "--epochs", "5"]),
  ]);
});

describe("a text", () => {
  test("is learnt, with what was chosen and a sample after each epoch", () => {
    expect(trained.code).toBe(0);
    const events = trained.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({ event: "start", characters: TEXT.length, vocabulary: 14, context: 16 });
    const epochs = events.filter(({ event }) => event === "epoch");
    expect(epochs).toHaveLength(6);
    expect(epochs[5].validation.loss).toBeLessThan(epochs[0].validation.loss);
    expect(events.filter(({ event }) => event === "sample").every(({ text }) => text.length === 161)).toBe(true);
    expect(events.at(-1)).toMatchObject({ event: "done", model: "cats.safetensors" });
    expect(trained.stderr).toMatch(/a transformer of 3 blocks/);
    expect(trained.stderr).toMatch(/bits for who knows only which character follows which/);
    for (const line of trained.stderr.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  test("is gone on with: the same seed, the same text", async () => {
    const write = (...more: string[]) =>
      scratch.run(["generate", "cats.safetensors", "--prompt", "the ", "--length", "40", ...more]);
    const [one, same, other] = await Promise.all([write(), write(), write("--seed", "9", "--temperature", "2")]);
    expect(one.code).toBe(0);
    expect(one.stdout).toMatch(/^the .{40}\n$/);
    expect(same.stdout).toBe(one.stdout);
    expect(other.stdout).not.toBe(one.stdout);
    const json = JSON.parse((await write("--json")).stdout);
    expect(`the ${json.text}\n`).toBe(one.stdout);
  });

  test.each<[string, string[], number, RegExp]>([
    [
      "a prompt of characters that it does not know",
      ["generate", "cats.safetensors", "--prompt", "THE"],
      1,
      /"T" does not occur/,
    ],
    ["a model of a table", ["generate", "fruit.safetensors"], 2, /was not trained on a text/],
    [
      "rows for a model that writes",
      ["evaluate", "cats.safetensors", "fruit.csv"],
      2,
      /was trained on a text, and writes/,
    ],
    ["a temperature below 0", ["generate", "cats.safetensors", "--temperature", "-1"], 2, /from 0 on/],
    ["too little text", ["train", "short.txt"], 1, /has 9 characters; a language model needs/],
    ["a target", ["train", "cats.txt", "--target", "word"], 2, /--target is not for texts/],
    ["no such text", ["train", "none.txt"], 1, /none\.txt/],
  ])("%s", async (_, args, code, message) => {
    const outcome = await scratch.run(args);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.code).toBe(code);
  });
});

describe("ONNX", () => {
  test("a trained model goes out, comes back, and is tested as before", async () => {
    const out = await scratch.run(["export", "fruit.safetensors", "fruit.onnx"]);
    expect([out.code, out.stdout]).toEqual([0, expect.stringMatching(/^fruit\.onnx, .*\ninput .*\noutput /)]);
    const back = await scratch.run(["import", "fruit.onnx", "again.safetensors"]);
    expect(back.code).toBe(0);
    const evaluate = async (model: string) => {
      const { stdout } = await scratch.run(["evaluate", model, "fruit.csv", "--json", "--all"]);
      return JSON.parse(stdout).test;
    };
    const [ours, onnx, again] = [
      await evaluate("fruit.safetensors"),
      await evaluate("fruit.onnx"),
      await evaluate("again.safetensors"),
    ];
    expect(onnx.accuracy).toBe(ours.accuracy);
    expect(again.accuracy).toBe(ours.accuracy);
    expect(onnx.loss).toBeCloseTo(ours.loss, 5);
    const summary = await scratch.run(["summary", "fruit.onnx"]);
    expect(summary.stdout).toMatch(/onnx_1 +\d+ nodes/);
  });

  test("training goes on from it, and from what was imported", async () => {
    await scratch.run(["export", "fruit.safetensors", "start.onnx"]);
    await scratch.run(["import", "start.onnx", "imported.safetensors"]);
    for (const model of ["start.onnx", "imported.safetensors"]) {
      const run = await scratch.run([
        "train",
        "fruit.csv",
        "--from",
        model,
        "--epochs",
        "2",
        "--json",
        "--out",
        "next.safetensors",
      ]);
      expect([run.code, run.stderr.includes("error")]).toEqual([0, false]);
      const again = await scratch.run(["evaluate", "next.safetensors", "fruit.csv", "--json"]);
      expect(JSON.parse(again.stdout).test.accuracy).toBeGreaterThan(0.5);
    }
  });

  test("a file that only predicts, and a page", async () => {
    const js = await scratch.run([
      "export",
      "fruit.safetensors",
      "fruit.js",
      "--weights",
      "int8",
      "--test",
      "fruit.csv",
    ]);
    expect([js.code, js.stdout]).toEqual([0, expect.stringMatching(/weights +accuracy .* % as float32, .* % as int8/)]);
    expect(js.stderr).toMatch(/columns of words/);
    const page = await scratch.run(["export", "fruit.safetensors", "fruit.html"]);
    expect([page.code, page.stdout]).toEqual([0, expect.stringMatching(/^fruit\.html, \d+ kB/)]);
  });

  test.each<[string, string[], number, RegExp]>([
    ["--test without --weights", ["export", "fruit.safetensors", "f.js", "--test", "fruit.csv"], 2, /give both/],
    ["--weights for ONNX", ["export", "fruit.safetensors", "f.onnx", "--weights", "int8"], 2, /--weights is for \.js/],
    ["another form", ["export", "fruit.safetensors", "fruit.pt"], 2, /ends in \.onnx, \.js/],
    ["a file that is none", ["import", "fruit.csv", "x.safetensors"], 2, /ends in \.onnx \(ONNX\), \.keras or \.h5/],
    [
      "classes that are too few",
      ["import", "fruit.onnx", "x.safetensors", "--classes", "a,b,c"],
      2,
      /--classes names 3/,
    ],
    ["an unknown version", ["export", "fruit.safetensors", "fruit.onnx", "--opset", "7"], 2, /opset/],
    ["weights outside of the folder", ["summary", "hostile.onnx"], 1, /outside the model's own folder/],
    ["no such file", ["import", "none.onnx", "x.safetensors"], 1, /none\.onnx/],
  ])("%s", async (_, args, code, message) => {
    const { writeModelProto } = await import("../../src/interchange/onnx/format.ts");
    const external = [{ key: "location", value: "../../etc/passwd" }];
    scratch.write(
      "hostile.onnx",
      writeModelProto({
        irVersion: 8,
        opsetImport: [{ version: 17 }],
        graph: {
          node: [{ opType: "Relu", input: ["w"], output: ["y"] }],
          initializer: [{ name: "w", dims: [1], dataType: 1, dataLocation: 1, externalData: external }],
        },
      }),
    );
    const outcome = await scratch.run(args);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.code).toBe(code);
  });
});
