/**
 * Weights of 16 and 8 bits, and weights beside the file: what is written is what `roundedWeights` says, in files of ours and
 * of ONNX, as ONNX Runtime and ONNX's own checker read them.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  batchNorm,
  conv2d,
  type DataError,
  dense,
  embedding,
  fromBytes,
  globalAveragePool1d,
  globalAveragePool2d,
  lstm,
  type Model,
  maxPool2d,
  positions,
  RandomStream,
  residual,
  sequential,
  transformerBlock,
} from "chainrule";
import {
  fromOnnx,
  fromSafetensors,
  roundedWeights,
  toOnnx,
  toOnnxFiles,
  toSafetensors,
  type WeightType,
} from "chainrule/interchange";
import { describe, expect, test } from "vitest";
import { sizeOf } from "../../src/graph/shape.ts";
import { prices, Scratch } from "../cli/command.ts";
import { onnxRuntime, WITHOUT_RUNTIME } from "../support/onnx-runtime.ts";
import { skipWhere } from "../support/skip.ts";

const TYPES: readonly WeightType[] = ["float32", "float16", "bfloat16", "int8"];
const ROWS = 3;
const run = await onnxRuntime();

/** Left alone, ONNX Runtime rounds what meets whole numbers to whole numbers too, for speed. */
const EXACT = { qdq_matmulnbits_accuracy_level: "1" };

/** The usual kinds of networks, with inputs. */
const NETWORKS: Readonly<Record<string, () => { model: Model; x: Float32Array }>> = {
  dense: () =>
    drawn(sequential({ input: [7] }, [dense(9, { activation: "tanh" }), dense(4, { activation: "softmax" })])),
  convolutions: () =>
    drawn(
      sequential({ input: [8, 8, 3] }, [
        conv2d(6, 3, { padding: "same", activation: "relu" }),
        residual([conv2d(6, 3, { padding: "same" }), batchNorm()]),
        maxPool2d(2),
        globalAveragePool2d(),
        dense(3),
      ]),
    ),
  recurrent: () => drawn(sequential({ input: [5, 4] }, [lstm(6), dense(2)])),
  transformer: () =>
    drawn(
      sequential({ input: [6] }, [
        embedding(11, 8),
        positions(),
        transformerBlock({ width: 8, heads: 2 }),
        globalAveragePool1d(),
        dense(3),
      ]),
      11,
    ),
};

/** Parameters that are not those of the beginning, running statistics too, and rows: of whole numbers `below` a limit. */
function drawn(model: Model, below?: number): { model: Model; x: Float32Array } {
  const stream = new RandomStream(5, "small");
  for (const { name, node } of model.network.parameters) {
    const low = name.endsWith("variance") ? 0.5 : -0.5;
    model.setWeight(
      name,
      Float32Array.from({ length: sizeOf(node.shape) }, () => low + stream.uniform()),
    );
  }
  const draw = (): number => (below === undefined ? 2 * stream.uniform() - 1 : stream.integer(below));
  return { model, x: Float32Array.from({ length: ROWS * sizeOf(model.inputShape) }, draw) };
}

/** What the model predicts when its weights are rounded. */
async function rounded(model: Model, x: Float32Array, type: WeightType): Promise<Float32Array> {
  const copy = fromBytes(model.toBytes());
  for (const { name, node } of copy.network.parameters)
    copy.setWeight(name, roundedWeights(copy.weight(name), node.shape, type));
  return copy.predict(x);
}

function expectNear(actual: ArrayLike<number>, wanted: ArrayLike<number>): void {
  expect(actual.length).toBe(wanted.length);
  const scale = Math.max(1, ...Array.from(wanted, Math.abs));
  for (let i = 0; i < wanted.length; i++) expect(Math.abs(actual[i] - wanted[i]) / scale).toBeLessThanOrEqual(1e-5);
}

describe.each(Object.entries(NETWORKS))("%s", (_, make) => {
  test.each(TYPES)("%s: the model's own file predicts as the rounded weights do, to the bit", async (weights) => {
    const { model, x } = make();
    const bytes = toSafetensors(model, { weights });
    const again = fromSafetensors(bytes);
    expect(await again.predict(x)).toEqual(await rounded(model, x, weights));
    expect(again.network.toLayers()).toEqual(model.network.toLayers());
    if (weights !== "float32") expect(() => fromBytes(bytes)).toThrow(/dtype/);
  });

  test.each(TYPES)("%s: an ONNX file computes the same, in ONNX Runtime and read again", async (weights) => {
    const { model, x } = make();
    const wanted = await rounded(model, x, weights);
    const bytes = toOnnx(model, { weights });
    expectNear(await fromOnnx(bytes, { channelsLast: false }).predict(x), wanted);
    if (run) expectNear(await run(bytes, x, [ROWS, ...model.inputShape], EXACT), wanted);
  });
});

test("float16 halves a file, int8 makes a quarter of it", () => {
  const model = sequential({ input: [256] }, [dense(256), dense(256)]);
  const of = (weights: WeightType): number[] => [
    toSafetensors(model, { weights }).length,
    toOnnx(model, { weights }).length,
  ];
  const whole = of("float32");
  for (const [weights, share] of [["float16", 0.5], ["bfloat16", 0.5], ["int8", 0.25]] as const) // biome-ignore format: a table
    for (const [i, size] of of(weights).entries()) expect(size / whole[i]).toBeCloseTo(share, 1);
});

test("the largest of a column is off by half a step at most, and a column has a scale of its own", () => {
  // Columns of largest 1 and 254: steps of 1/127 and 2.
  expect([...roundedWeights(Float32Array.of(1, 254, 0.5, 3.1), [2, 2], "int8")]).toEqual(
    [1, 254, Math.fround(64 * Math.fround(1 / 127)), 4].map(Math.fround),
  );
  expect([...roundedWeights(Float32Array.of(1.00390625, 3.0234375), [2], "bfloat16")]).toEqual([1, 3.03125]);
  expect([...roundedWeights(Float32Array.of(0.1), [1], "int8")]).toEqual([Math.fround(0.1)]);
});

describe("weights beside an ONNX file", () => {
  const { model, x } = NETWORKS.convolutions();

  test("are found by the name that the file gives", async () => {
    const { graph, weights } = toOnnxFiles(model, "net.onnx.data");
    expect(graph.length).toBeLessThan(toOnnx(model).length);
    const again = fromOnnx(graph, {
      channelsLast: false,
      external: (name) => {
        expect(name).toBe("net.onnx.data");
        return weights;
      },
    });
    expectNear(await again.predict(x), await model.predict(x));
    expect(() => fromOnnx(graph, { external: () => weights.subarray(0, 100) })).toThrow(/should lie at byte/);
  });

  test.each(["../net.data", "/net.data", "a/b", "..", ".", "", "C:\\net.data"])("under no path: %j", (name) => {
    expect(() => toOnnxFiles(model, name)).toThrow(/plain name/);
  });

  test("are computed with by ONNX Runtime", async (context) => {
    skipWhere(!run, WITHOUT_RUNTIME, context);
    const folder = mkdtempSync(join(tmpdir(), "chainrule-onnx-"));
    const { graph, weights } = toOnnxFiles(model, "net.onnx.data", { weights: "int8" });
    writeFileSync(join(folder, "net.onnx"), graph);
    writeFileSync(join(folder, "net.onnx.data"), weights);
    const computed = await run!(join(folder, "net.onnx"), x, [ROWS, ...model.inputShape], EXACT);
    expectNear(computed, await rounded(model, x, "int8"));
  });
});

test("every version of the operators from 13 to 26 computes the same in ONNX Runtime", {
  timeout: 120_000,
}, async (context) => {
  skipWhere(!run, WITHOUT_RUNTIME, context);
  for (const make of Object.values(NETWORKS)) {
    const { model, x } = make();
    const wanted = await model.predict(x);
    for (let opset = 13; opset <= 26; opset++)
      expectNear(await run!(toOnnx(model, { opset }), x, [ROWS, ...model.inputShape]), wanted);
  }
});

/** Checks each file that it is given, shapes too, but those of newer operators than it knows, and says how many it checked. */
const CHECKER = `
import sys, onnx
checked = 0
for path in sys.argv[1:]:
    if int(path.rsplit("-", 1)[1].split(".")[0]) <= onnx.defs.onnx_opset_version():
        onnx.checker.check_model(path, full_check=True)
        checked += 1
print(checked)
`;

test("ONNX's own checker passes what is written", { timeout: 120_000 }, (context) => {
  const python = process.env.PYTHON ?? "python3";
  let hasChecker = true;
  try {
    execFileSync(python, ["-c", "import onnx"], { stdio: "ignore" });
  } catch {
    hasChecker = false;
  }
  skipWhere(!hasChecker, `${python} has no onnx package; pip install onnx, or apt install python3-onnx.`, context);
  const folder = mkdtempSync(join(tmpdir(), "chainrule-onnx-"));
  const paths: string[] = [];
  for (const [name, make] of Object.entries(NETWORKS)) {
    const { model } = make();
    const write = (kind: string, opset: number, bytes: Uint8Array): void => {
      const path = join(folder, `${name}-${kind}-${opset}.onnx`);
      writeFileSync(path, bytes);
      paths.push(path);
    };
    for (let opset = 13; opset <= 26; opset++) write("float32", opset, toOnnx(model, { opset }));
    for (const weights of TYPES)
      for (const opset of [13, 17, 21]) write(weights, opset, toOnnx(model, { weights, opset }));
    const { graph, weights } = toOnnxFiles(model, `${name}.data`, { opset: 17 });
    writeFileSync(join(folder, `${name}.data`), weights);
    write("beside", 17, graph);
  }
  const checked = Number(execFileSync(python, ["-c", CHECKER, ...paths], { encoding: "utf8" }));
  // The oldest package that is tried knows versions up to 17.
  expect(checked).toBeGreaterThanOrEqual(4 * (5 + 2 * TYPES.length + 1));
});

test("damaged files are read or refused", () => {
  const whole = toSafetensors(sequential({ input: [4] }, [dense(3), dense(2)]), { weights: "int8" });
  const text = new TextDecoder("latin1").decode(whole);
  const swap = (from: string, to: string): Uint8Array => {
    expect(text).toContain(from);
    return Uint8Array.from(text.replace(from, to), (c) => c.charCodeAt(0));
  };
  // Without the check sum, which would find any change first.
  const open = (bytes: Uint8Array) => fromSafetensors(bytes);
  expect(() => open(swap("dense_1.kernel.scale", "dense_1.kernel.skale"))).toThrow(/damaged/);
  const stream = new RandomStream(2, "damage");
  for (let i = 0; i < Number(process.env.CHAINRULE_FUZZ ?? 2000); i++) {
    const bytes = whole.slice(0, stream.uniform() < 0.3 ? stream.integer(whole.length) : whole.length);
    for (let k = 0; k <= stream.integer(6); k++)
      if (bytes.length > 0) bytes[stream.integer(bytes.length)] = stream.integer(256);
    try {
      open(bytes).close();
    } catch (error) {
      expect(error, `file ${i}`).toMatchObject({ code: expect.any(String) });
      expect((error as DataError).message.length).toBeGreaterThan(20);
    }
  }
});

test("the command writes them, says what is lost, and takes them again", { timeout: 120_000 }, async () => {
  const scratch = new Scratch();
  scratch.write("houses.csv", prices(40));
  const ok = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await scratch.run(args);
    expect(code, stderr).toBe(0);
    return stdout;
  };
  await ok("train", "houses.csv", "--target", "price", "--epochs", "3", "--out", "net.safetensors");
  const said = await ok("export", "net.safetensors", "small.safetensors", "--weights", "int8", "--test", "houses.csv");
  expect(said).toMatch(/loss [\d.]+ as float32, [\d.]+ as int8/);
  expect(await ok("summary", "small.safetensors")).toContain("dense_1");
  expect(await ok("evaluate", "small.safetensors", "houses.csv")).toMatch(/loss/);
  const onnx = await ok(
    "export",
    "net.safetensors",
    "net.onnx",
    "--weights",
    "float16",
    "--external",
    "--test",
    "houses.csv",
  );
  expect(onnx).toMatch(/net\.onnx,.*\n.*net\.onnx\.data,/);
  expect(onnx).toMatch(/as float16/);
  expect(await ok("summary", "net.onnx")).toContain("onnx");
  const { code, stderr } = await scratch.run(["export", "net.safetensors", "net.js", "--external"]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("--external is for .onnx files")]);
});
