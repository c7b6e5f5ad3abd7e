/** `train FILE.txt` and `generate`, `export` and `import`: as a user runs them, and what beginners do. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bytePairTokenizer } from "chainrule/data";
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

  test("cut into pieces of words, it is learnt, and generate writes in pieces; bits are counted for each character too", async () => {
    const events = await scratch.json([
      ...[
        "train",
        "cats.txt",
        "--tokens",
        "bpe",
        "--vocabulary",
        "280",
        "--epochs",
        "3",
        "--out",
        "pieces.safetensors",
      ],
    ]);
    expect(events[0]).toMatchObject({ tokens: "bpe", vocabulary: 270 });
    const { bits, bitsPerCharacter } = events.at(-1)!.test as { bits: number; bitsPerCharacter: number };
    // The held part, which is cut with the same pieces: how many characters its foretold tokens have.
    const held = TEXT.slice(Math.floor(TEXT.length * 0.9));
    const pieces = bytePairTokenizer(TEXT.slice(0, Math.floor(TEXT.length * 0.9)), { vocabulary: 270 });
    const tokens = pieces.encode(held);
    const foretold = tokens.subarray(1, 1 + 16 * Math.floor((tokens.length - 1) / 16));
    expect(bitsPerCharacter).toBeCloseTo((bits * foretold.length) / pieces.decode(foretold).length, 10);
    const { stdout } = await scratch.run(["generate", "pieces.safetensors", "--prompt", "The é", "--length", "9"]);
    expect(stdout.startsWith("The é")).toBe(true);
    const json = await scratch.json(["generate", "pieces.safetensors", "--prompt", "The é", "--length", "9"]);
    expect(`The é${json[0].text}\n`).toBe(stdout);
  });

  test("a tokenizer.json cuts it", async () => {
    scratch.write("tokenizer.json", JSON.stringify(bytePairTokenizer(TEXT, { vocabulary: 260 }).toJSON()));
    const args = ["train", "cats.txt", "--tokens", "tokenizer.json", "--epochs", "1", "--out", "read.safetensors"];
    expect((await scratch.json(args))[0]).toMatchObject({ tokens: "bpe", vocabulary: 260 });
  });

  test.each(["SIGINT", "SIGKILL"] as const)("a run that %s ended goes on to the same bits", async (signal) => {
    const name = signal.toLowerCase();
    const args = ["train", "cats.txt", "--tokens", "bpe", "--vocabulary", "270", "--epochs", "6", "--seed", "3"];
    await scratch.run([...args, "--quiet", "--out", `${name}-whole.safetensors`]);
    const stopped = await scratch.run([...args, "--out", `${name}.safetensors`], {
      watch: (stderr, child) => {
        if (/epoch +3\/6/.test(stderr) && !stderr.includes("Stopping")) child.kill(signal);
      },
    });
    expect([stopped.code, stopped.signal]).toEqual(signal === "SIGINT" ? [130, undefined] : [null, "SIGKILL"]);
    const resumed = await scratch.run(["train", "--resume", `${name}.checkpoint.safetensors`]);
    expect([resumed.code, /error/.test(resumed.stderr)]).toEqual([0, false]);
    expect(resumed.stderr).not.toMatch(/epoch +1\/6/);
    const read = (file: string) => readFileSync(join(scratch.path, file));
    expect(read(`${name}.safetensors`).equals(read(`${name}-whole.safetensors`))).toBe(true);
    expect(scratch.list()).not.toContain(`${name}.checkpoint.safetensors`);
  });

  test("a text that has changed is not gone on with", async () => {
    scratch.write("moving.txt", TEXT);
    await scratch.run(["train", "moving.txt", "--epochs", "12"], {
      watch: (stderr, child) => {
        if (/epoch +2\/12/.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGINT");
      },
    });
    scratch.write("moving.txt", TEXT.replaceAll("cat", "act"));
    const { code, stderr } = await scratch.run(["train", "--resume", "moving.checkpoint.safetensors"]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/other data|not the same|differ/i);
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
    [
      "a vocabulary without pieces",
      ["train", "cats.txt", "--vocabulary", "300"],
      2,
      /--vocabulary is for --tokens bpe/,
    ],
    ["fewer pieces than bytes", ["train", "cats.txt", "--tokens", "bpe", "--vocabulary", "9"], 2, /from 256 on/],
    ["an unknown cut", ["train", "cats.txt", "--tokens", "words"], 2, /Give characters, bytes, bpe/],
    ["tokens for a table", ["train", "fruit.csv", "--target", "state", "--tokens", "bpe"], 2, /--tokens is for texts/],
    ["another seed for a run that is resumed", ["train", "cats.txt", "--resume", "x"], 2, /name no other/],
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
    ["another form", ["export", "fruit.safetensors", "fruit.pt"], 2, /ends in \.onnx, \.py, \.js/],
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
