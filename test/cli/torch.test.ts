/** The command on files of PyTorch: weights in, modules out, what is in a file. The files are those of test/fixtures/torch. */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dense, load, sequential } from "chainrule";
import { encodeSafetensors } from "chainrule/data";
import { beforeAll, describe, expect, test } from "vitest";
import { skipWhere } from "../support/skip.ts";
import { Scratch } from "./command.ts";

const PYTHON = ["python3", "/usr/bin/python3"].find((python) => spawnSync(python, ["-c", "import torch"]).status === 0);
const FIXTURES = new URL("../fixtures/torch/", import.meta.url);
const { state } = JSON.parse(readFileSync(new URL("expected.json", FIXTURES), "utf8")) as {
  state: Record<string, { shape: number[]; data: number[] }>;
};
const LAYERS = ["--layers", "dense 4, batchNorm, dense 2", "--input-shape", "3"];

let scratch: Scratch;
beforeAll(() => {
  scratch = new Scratch();
  for (const name of ["state.pt", "checkpoint.pt", "two.pt", "module.pt", "system.pt"])
    copyFileSync(new URL(name, FIXTURES), join(scratch.path, name));
  const part = (name: string) => {
    const { shape, data } = state[name];
    return encodeSafetensors({ [name]: { shape, data: new Float32Array(data) } });
  };
  const names = Object.keys(state).filter((name) => !name.endsWith("tracked"));
  for (const [i, name] of names.entries()) scratch.write(`part-${i}.safetensors`, part(name));
  const map = Object.fromEntries(names.map((name, i) => [name, `part-${i}.safetensors`]));
  scratch.write("model.safetensors.index.json", JSON.stringify({ metadata: {}, weight_map: map }));
  scratch.write("escape.index.json", JSON.stringify({ weight_map: { w: "../../etc/passwd" } }));
  scratch.write(
    "network.mjs",
    'import { batchNorm, dense, sequential } from "chainrule";\nexport default ({ backend }) => sequential({ input: [3], backend }, [dense(4), batchNorm(), dense(2)]);\n',
  );
});

/** Our kernel [I, O] of theirs [O, I]. */
const kernelOf = (name: string): Float32Array => {
  const { shape, data } = state[name];
  const [o, i] = shape;
  return Float32Array.from({ length: o * i }, (_, at) => data[(at % o) * i + Math.floor(at / o)]);
};

describe("import", () => {
  test.each<[string, string[]]>([
    ["a state dict and layers", ["state.pt", ...LAYERS]],
    ["a checkpoint and a module", ["checkpoint.pt", "--model", "network.mjs"]],
    ["parts that a file lists", ["model.safetensors.index.json", ...LAYERS]],
    ["one of two, by its name", ["two.pt", ...LAYERS, "--at", "generator"]],
  ])("%s", async (_, [file, ...options]) => {
    const { code, stdout, stderr } = await scratch.run([
      "import",
      file,
      "net.safetensors",
      "--classes",
      "no,yes",
      ...options,
    ]);
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/dense_1\.kernel +\[3, 4\] +body\.0\.weight +\[4, 3\] +shape/),
    ]);
    expect(stdout).toMatch(/net\.safetensors\ntakes +\[3\]\ngives +\[2\]: no, yes/);
    const model = await load(join(scratch.path, "net.safetensors"));
    expect(model.weight("dense_1.kernel")).toEqual(kernelOf("body.0.weight"));
    expect(model.weight("batchNorm_1.variance")).toEqual(new Float32Array(state["body.1.running_var"].data));
    expect(model.weight("dense_2.kernel")).toEqual(kernelOf("head.weight"));
  });

  test("into the network of a model file, part by part and by names", async () => {
    const model = sequential({ input: [4] }, [dense(2), dense(2)]);
    await model.save(join(scratch.path, "own.safetensors"));
    const args = [
      "import",
      "state.pt",
      "net.safetensors",
      "--model",
      "own.safetensors",
      "--names",
      "dense_1=head",
      "--partial",
    ];
    const { code, stderr } = await scratch.run(args);
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/head\.weight.*given[\s\S]*kept as they were: dense_2\.kernel/),
    ]);
  });
});

test("summary of weights, of PyTorch and of others", async () => {
  const { stdout } = await scratch.run(["summary", "checkpoint.pt"]);
  expect(stdout).toMatch(/body\.0\.weight +\[4, 3\] +F32 +12\n/);
  expect(stdout).toMatch(/holds +43 numbers in 9 tensors, weights of PyTorch\s+without a network/);
  expect(stdout).toMatch(/found +under model\nbeside +epoch: 3, best, optimizer, name: "net"/);
  const json = JSON.parse((await scratch.run(["summary", "part-0.safetensors", "--json"])).stdout) as object;
  expect(json).toMatchObject({
    format: "safetensors",
    tensors: [{ name: "body.0.weight", shape: [4, 3], dtype: "F32" }],
  });
});

test("export of a module that PyTorch loads, beside a model of the same name", async (context) => {
  await scratch.run(["import", "state.pt", "again.safetensors", ...LAYERS]);
  const { code, stdout } = await scratch.run(["export", "again.safetensors", "again.py"]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^again\.py, .*\nagain-weights\.safetensors, /)]);
  const model = await load(join(scratch.path, "again.safetensors"));
  skipWhere(!PYTHON, "python3 has no PyTorch; Debian's package is python3-torch.", context);
  const print = "import again, torch; print(again.load()(torch.tensor([[1., 2., 3.]])).tolist()[0])";
  const predicted = JSON.parse(
    execFileSync(PYTHON!, ["-c", print], { cwd: scratch.path, encoding: "utf8" }),
  ) as number[];
  for (const [i, value] of (await model.predict([[1, 2, 3]])).entries()) expect(predicted[i]).toBeCloseTo(value, 5);
});

test.each<[string, string[], number, RegExp]>([
  ["no network", ["import", "state.pt", "x.safetensors"], 2, /holds weights and no network.*--layers "dense 128 relu/],
  [
    "layers without a shape",
    ["import", "state.pt", "x.safetensors", "--layers", "dense 4"],
    2,
    /--input-shape 28,28,1/,
  ],
  ["both", ["import", "state.pt", "x.safetensors", ...LAYERS, "--model", "network.mjs"], 2, /not both/],
  [
    "another network",
    ["import", "state.pt", "x.safetensors", "--layers", "dense 5", "--input-shape", "3"],
    1,
    /dense_1 wants weight \[5, 3\]/,
  ],
  [
    "a module",
    ["import", "module.pt", "x.safetensors", ...LAYERS],
    1,
    /module\.pt: it holds a whole module as code: "__main__\.Net".*state_dict\(\)/,
  ],
  ["code", ["summary", "system.pt"], 1, /system\.pt: it names "posix\.system"/],
  [
    "files outside of the folder",
    ["import", "escape.index.json", "x.safetensors", ...LAYERS],
    1,
    /outside the model's own folder/,
  ],
  [
    "an option of ONNX",
    ["import", "state.pt", "x.safetensors", ...LAYERS, "--channels-first"],
    2,
    /--channels-first is for ONNX/,
  ],
  ["names that are none", ["import", "state.pt", "x.safetensors", "--names", "dense_1"], 2, /such as dense_1=fc1/],
  [
    "weights where a model is wanted",
    ["predict", "state.pt", "x.csv"],
    1,
    /holds weights of PyTorch and no network.*import state\.pt MODEL/,
  ],
])("%s is refused", async (_, args, code, message) => {
  const outcome = await scratch.run(args);
  expect(outcome.stderr).toMatch(message);
  expect(outcome.code).toBe(code);
});
