/** ONNX files in: ONNX's own conformance cases, plans like those of our own networks, files that cannot be read. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  ArgumentError,
  activation,
  conv2d,
  type DataError,
  dense,
  flatten,
  type Layer,
  type Model,
  maxPool2d,
  sequential,
  tensor,
} from "chainrule";
import { fromOnnx, toOnnx } from "chainrule/interchange";
import { describe, expect, test } from "vitest";
import { compareCase, EXCUSED, EXCUSED_GRADIENTS } from "../../scripts/onnx-case.ts";
import { input } from "../../src/graph/leaf.ts";
import type { GraphProto, ModelProto } from "../../src/interchange/onnx/format.ts";
import { readModelProto, writeModelProto } from "../../src/interchange/onnx/format.ts";
import { writeTensor } from "../../src/interchange/onnx/tensors.ts";
import { makePlan } from "../../src/plan/plan.ts";
import { RandomStream } from "../../src/random.ts";
import { skipWhere } from "../support/skip.ts";

const CASES = resolve(import.meta.dirname, "../../../shared/onnx");

describe.each(["node", "pytorch-converted", "pytorch-operator", "simple"])("ONNX's cases: %s", (kind) => {
  for (const backend of ["wasm", "reference", "gradients"])
    test(backend, async (context) => {
      const folder = join(CASES, kind);
      skipWhere(!existsSync(folder), "ONNX's conformance cases are not beside the project: ../shared/onnx.", context);
      const failed: string[] = [];
      for (const name of readdirSync(folder)) {
        const path = join(folder, name);
        const files = readdirSync(path, { recursive: true }) as string[];
        const { passed, reason } = await compareCase((file) => readFileSync(join(path, file)), files, backend);
        const excuse = EXCUSED[name]?.on;
        const isExcused = backend === "gradients" ? name in EXCUSED_GRADIENTS : excuse === "both" || excuse === backend;
        if (passed === isExcused) failed.push(`${name}: ${passed ? "passes, though it is excused" : reason}`);
      }
      expect(failed).toEqual([]);
    });
});

/** A file of one graph, from its messages. */
const fileOf = (graph: GraphProto, more: Partial<ModelProto> = {}): Uint8Array =>
  writeModelProto({ irVersion: 8, opsetImport: [{ version: 17 }], graph, ...more });

const port = (name: string, ...sizes: (number | string)[]) => ({
  name,
  type: {
    tensorType: {
      elemType: 1,
      shape: { dim: sizes.map((n) => (typeof n === "number" ? { dimValue: n } : { dimParam: n })) },
    },
  },
});

const floats = (name: string, shape: number[], value = 0.5) =>
  writeTensor({ name, type: "float", shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value) });

describe("an imported network has the plan of our own", () => {
  const opsOf = (model: Model): string[] => {
    const x = input("x", [4, ...model.inputShape]);
    const { output } = model.network.apply(x, { training: false });
    return makePlan({ inputs: [x], outputs: [output] }).steps.map(({ nodes }) =>
      nodes.map(({ op }) => op.name).join("+"),
    );
  };

  const gemm = (i: number, x: string) => ({
    opType: "Gemm",
    input: [x, `w${i}`, `b${i}`],
    output: [`z${i}`],
    attribute: [{ name: "transB", type: 2, i: 1 }],
  });

  test("dense layers", () => {
    const bytes = fileOf({
      node: [gemm(1, "x"), { opType: "Relu", input: ["z1"], output: ["a1"] }, gemm(2, "a1")],
      initializer: [floats("w1", [8, 5]), floats("b1", [8]), floats("w2", [3, 8]), floats("b2", [3])],
      input: [port("x", "batch", 5)],
      output: [port("z2", "batch", 3)],
    });
    const ours = sequential({ input: [5] }, [dense(8, { activation: "relu" }), dense(3)]);
    expect(opsOf(fromOnnx(bytes))).toEqual(opsOf(ours));
  });

  test("convolutions, pooling, and a matrix after the flattened images", async () => {
    const ints = (name: string, ...values: number[]) => ({ name, type: 7, ints: values });
    const bytes = fileOf({
      node: [
        { opType: "Conv", input: ["x", "k", "b"], output: ["c"], attribute: [ints("pads", 1, 1, 1, 1)] },
        { opType: "Relu", input: ["c"], output: ["r"] },
        {
          opType: "MaxPool",
          input: ["r"],
          output: ["p"],
          attribute: [ints("kernel_shape", 2, 2), ints("strides", 2, 2)],
        },
        { opType: "Flatten", input: ["p"], output: ["f"] },
        gemm(1, "f"),
      ],
      initializer: [
        floats("k", [6, 3, 3, 3], 0.1),
        floats("b", [6]),
        floats("w1", [10, 6 * 4 * 4]),
        floats("b1", [10]),
      ],
      input: [port("x", "batch", 3, 8, 8)],
      output: [port("z1", "batch", 10)],
    });
    const layers: Layer[] = [conv2d(6, 3, { padding: "same", activation: "relu" }), maxPool2d(2), flatten(), dense(10)];
    const ours = sequential({ input: [8, 8, 3] }, layers);
    const imported = fromOnnx(bytes);
    expect(imported.inputShape).toEqual([8, 8, 3]);
    expect(opsOf(imported)).toEqual(opsOf(ours));
    // All ones: a corner sees 4 · 3 pixels, so 0.1 · 12 + 0.5; the largest of each window sees 9 · 3 of them.
    const [first] = (await imported.predict(new Float32Array(8 * 8 * 3).fill(1))) as Float32Array;
    expect(first).toBeCloseTo(0.5 * 6 * 16 * (0.1 * 27 + 0.5) + 0.5, 3);
  });

  test("our own network, after it went out", () => {
    const ours = sequential({ input: [8, 8, 3] }, [conv2d(4, 3, { activation: "tanh" }), activation("relu")]);
    const out = opsOf(fromOnnx(toOnnx(ours)));
    expect(out.filter((ops) => ops.startsWith("conv2d"))).toHaveLength(1);
  });
});

describe("files that cannot be models are refused with what to do", () => {
  const linear: GraphProto = {
    node: [{ opType: "MatMul", input: ["x", "w"], output: ["y"] }],
    initializer: [floats("w", [3, 2])],
    input: [port("x", "batch", 3)],
    output: [port("y", "batch", 2)],
  };

  test("operators that are not known are named all at once", () => {
    const node = [
      { opType: "Frobnicate", name: "first", input: ["x"], output: ["a"] },
      { opType: "Fold", domain: "com.example", name: "second", input: ["a"], output: ["y"] },
    ];
    expect(() => fromOnnx(fileOf({ ...linear, node }))).toThrow(
      /Frobnicate \(first\), com\.example\.Fold \(second\), of version 17/,
    );
  });

  test("several inputs: which one, and how the others are given", async () => {
    const two: GraphProto = {
      ...linear,
      node: [...linear.node!, { opType: "Mul", input: ["y", "scale"], output: ["z"] }],
      input: [...linear.input!, port("scale", 2)],
      output: [port("z", "batch", 2)],
    };
    expect(() => fromOnnx(fileOf(two))).toThrow(/has 2: "x" \[batch,3\], "scale" \[2\].*constants: \{ "scale": … \}/);
    const model = fromOnnx(fileOf(two), { constants: { scale: tensor([2, 4]) } });
    expect(await model.predict([[1, 1, 1]])).toEqual(Float32Array.of(3, 6));
    expect(() => fromOnnx(fileOf(two), { input: "q" })).toThrow(ArgumentError);
  });

  test.each<[string, () => unknown, RegExp]>([
    ["a newer version", () => fromOnnx(fileOf(linear, { opsetImport: [{ version: 99 }] })), /version 99.*up to 28/s],
    ["nothing", () => fromOnnx(new Uint8Array()), /no ONNX file/],
    ["an open shape", () => fromOnnx(fileOf({ ...linear, input: [port("x", "batch", "width")] })), /inputShape: \[3/],
    ["an unknown output", () => fromOnnx(fileOf(linear), { output: "q" }), /no output "q"; it has "y"/],
    ["a misspelt option", () => fromOnnx(fileOf(linear), { outputs: "y" } as never), /output/],
    [
      "an array of another length",
      () => fromOnnx(fileOf({ ...linear, initializer: [{ name: "w", dims: [3, 2], dataType: 1, floatData: [1] }] })),
      /should have 6 elements; the file holds 1/,
    ],
    [
      "an array elsewhere",
      () =>
        fromOnnx(
          fileOf({
            ...linear,
            initializer: [
              {
                name: "w",
                dims: [3, 2],
                dataType: 1,
                dataLocation: 1,
                externalData: [{ key: "location", value: "w.bin" }],
              },
            ],
          }),
        ),
      /file beside the model, "w\.bin"/,
    ],
    [
      "a name that nothing made",
      () => fromOnnx(fileOf({ ...linear, node: [{ opType: "Relu", input: ["q"], output: ["y"] }] })),
      /uses "q", which is not there/,
    ],
    [
      "an operator set that cannot be written",
      () => toOnnx(sequential({ input: [2] }, [dense(1)]), { opset: 12 }),
      /opset/,
    ],
  ])("%s", (_, attempt, message) => {
    expect(attempt).toThrow(message);
  });

  const COUNT = Number(process.env.CHAINRULE_FUZZ ?? 2000);

  test(`${COUNT} damaged files are read or refused`, { timeout: 600_000 }, () => {
    const whole = toOnnx(
      sequential({ input: [6, 6, 2] }, [conv2d(3, 3), flatten(), dense(2, { activation: "softmax" })]),
    );
    const stream = new RandomStream(1, "damage");
    for (let i = 0; i < COUNT; i++) {
      const bytes = whole.slice(0, stream.uniform() < 0.3 ? stream.integer(whole.length) : whole.length);
      for (let k = 0; k <= stream.integer(6); k++)
        if (bytes.length > 0) bytes[stream.integer(bytes.length)] = stream.integer(256);
      try {
        fromOnnx(bytes).session.close();
      } catch (error) {
        // What is thrown is ours, and says something.
        expect(error, `file ${i}`).toMatchObject({ code: expect.any(String) });
        expect((error as DataError).message.length).toBeGreaterThan(20);
      }
    }
  });
});

test("what is written is read again, message by message", () => {
  const bytes = toOnnx(sequential({ input: [3] }, [dense(2)]));
  expect(writeModelProto(readModelProto(bytes) as ModelProto)).toEqual(bytes);
});
