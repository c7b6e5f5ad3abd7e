/** Files that only predict: the same numbers, small, typed; and a page on which one draws. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  conv2d,
  dense,
  embedding,
  flatten,
  gru,
  type Model,
  maxPool2d,
  normalize,
  RandomStream,
  sequential,
} from "chainrule";
import { roundedWeights, toModule, toPage } from "chainrule/interchange";
import { transformSync } from "esbuild";
import { afterAll, describe, expect, test } from "vitest";
import { floatToHalf, halfToFloat } from "../../src/data/element-types.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import { quantize, type WeightType } from "../../src/interchange/weights.ts";
import { browserOnPath } from "../support/browser.ts";
import { skipWhere } from "../support/skip.ts";

const folder = mkdtempSync(join(tmpdir(), "chainrule-module-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Predictor {
  inputShape: number[];
  classes?: string[];
  predict(x: Float32Array | number[]): Float32Array;
  classify?(x: Float32Array | number[]): { class: string; probabilities: number[] }[];
}

let files = 0;
async function written(model: Model, options: Parameters<typeof toModule>[1] = {}): Promise<Predictor> {
  const path = join(folder, `model-${files++}.mjs`);
  const text = toModule(model, options);
  writeFileSync(path, options.language === "ts" ? transformSync(text, { loader: "ts" }).code : text);
  return import(/* @vite-ignore */ pathToFileURL(path).href);
}

const numbers = (count: number, below?: number): Float32Array => {
  const stream = new RandomStream(8, "rows");
  return Float32Array.from({ length: count }, () =>
    below === undefined ? 2 * stream.uniform() - 1 : stream.integer(below),
  );
};

const picture = [12, 12, 1];
const MODELS: [string, () => Model, below?: number][] = [
  [
    "dense layers with preprocessing",
    () =>
      sequential({ input: [4], seed: 1 }, [
        normalize({ mean: [1, 2, 3, 4], deviation: [1, 2, 1, 2] }),
        dense(5, { activation: "gelu" }),
        dense(2),
      ]),
  ],
  [
    "images",
    () =>
      sequential({ input: picture, seed: 1 }, [
        conv2d(4, 3, { activation: "relu" }),
        maxPool2d(2),
        flatten(),
        dense(3, { activation: "softmax" }),
      ]),
  ],
  ["sequences of tokens", () => sequential({ input: [6], seed: 1 }, [embedding(9, 4), gru(5), dense(2)]), 9],
];

describe.each(MODELS)("%s", (_, make, below) => {
  test.each<[WeightType, number]>([
    ["float32", 1e-6],
    ["float16", 1e-2],
    ["int8", 5e-2],
  ])("%s", async (weights, tolerance) => {
    const model = make();
    const x = numbers(5 * sizeOf(model.inputShape), below);
    const wanted = (await model.predict(x)) as Float32Array;
    const { predict, inputShape } = await written(model, { weights, language: weights === "int8" ? "ts" : "js" });
    expect(inputShape).toEqual(model.inputShape);
    const actual = predict(x);
    expect(actual.length).toBe(wanted.length);
    const scale = Math.max(1, ...wanted.map(Math.abs));
    expect(Math.max(...actual.map((value, i) => Math.abs(value - wanted[i]))) / scale).toBeLessThanOrEqual(tolerance);
    // What is said of a type's cost before the file is written is what the file computes.
    for (const { name, node } of model.network.parameters)
      model.setWeight(name, roundedWeights(model.weight(name), node.shape, weights));
    const rounded = (await model.predict(x)) as Float32Array;
    expect(Math.max(...actual.map((value, i) => Math.abs(value - rounded[i]))) / scale).toBeLessThanOrEqual(2e-6);
    expect(predict([...x])).toEqual(actual);
  });
});

test("a classifier names classes and gives probabilities, of logits too", async () => {
  const model = sequential({ input: [3], seed: 2 }, [dense(4, { activation: "tanh" }), dense(3)]);
  const x = numbers(60);
  const y = Array.from({ length: 20 }, (_, i) => i % 3);
  await model.fit({ x, y }, { loss: "crossEntropy", epochs: 5, onWarning: false });
  model.details.classes = ["red", "green", "blue"];
  const { classify, classes } = await written(model);
  const wanted = await model.classify(x);
  expect(classes).toEqual(["red", "green", "blue"]);
  const all = classify!(x);
  expect(all.map((row) => classes!.indexOf(row.class))).toEqual([...wanted.classes]);
  for (const [i, p] of all.flatMap((row) => row.probabilities).entries())
    expect(p).toBeCloseTo(wanted.probabilities[i], 5);
});

test("yes or no: the probabilities of both", async () => {
  const model = sequential({ input: [2], seed: 2 }, [dense(1)]);
  await model.fit(
    {
      x: [
        [0, 1],
        [1, 0],
      ],
      y: [0, 1],
    },
    { loss: "binaryCrossEntropy", epochs: 2, onWarning: false },
  );
  const { classify, classes } = await written(model);
  expect(classes).toEqual(["0", "1"]);
  const [{ probabilities }] = classify!([1, 0]);
  expect(probabilities[0] + probabilities[1]).toBeCloseTo(1, 6);
  const { probabilities: ours } = await model.classify([[1, 0]]);
  expect(probabilities[1]).toBeCloseTo(ours[1], 6);
});

test("a digit classifier takes at most 15 kB beside its weights, and refuses rows of another length", async () => {
  const model = sequential({ input: [28, 28, 1] }, [
    flatten(),
    dense(128, { activation: "relu" }),
    dense(10, { activation: "softmax" }),
  ]);
  const text = toModule(model);
  expect(text.length - (model.network.parameterCount * 4 * 4) / 3).toBeLessThan(15_000);
  const { predict } = await written(model);
  expect(() => predict(new Float32Array(783))).toThrow(/rows of 784 numbers, shape \[28, 28, 1\]; 783 numbers came/);
  expect(() => toModule(model, { weights: "int4" as never })).toThrow(/float32, float16, bfloat16, int8/);
});

test("halves are the nearest, ties to the even one", () => {
  // From IEEE 754: 1, −2, the largest, the smallest normal and subnormal, infinity; 1/3 = 0x3555.
  const known: [number, number][] = [
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65520, 0x7c00],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [1 / 3, 0x3555],
    [2049, 0x6800],
    [2051, 0x6802],
    [-0, 0x8000],
  ];
  for (const [value, half] of known) expect(floatToHalf(value), `${value}`).toBe(half);
  const halves = Uint16Array.from({ length: 0x7c00 }, (_, half) => half);
  expect(Uint16Array.from(halfToFloat(halves), floatToHalf)).toEqual(halves);
  expect(halfToFloat(Uint16Array.of(floatToHalf(Number.NaN)))[0]).toBeNaN();
});

test("bytes reach ±127 in each column, and are at most half a step away", () => {
  const data = numbers(40);
  const { values, scales } = quantize(data, [10, 4]);
  for (let c = 0; c < 4; c++) {
    const column = Array.from({ length: 10 }, (_, r) => r * 4 + c);
    expect(Math.max(...column.map((i) => Math.abs(values[i])))).toBe(127);
    for (const i of column) expect(Math.abs(values[i] * scales[c] - data[i])).toBeLessThanOrEqual(scales[c] * 0.5001);
  }
});

test("a page: what is drawn is answered, and so is what is typed", async (context) => {
  const executablePath = browserOnPath();
  skipWhere(!executablePath, "there is no Chromium", context);
  const { chromium } = await import("playwright-core");
  const drawing = sequential({ input: [28, 28, 1], seed: 1 }, [flatten(), dense(10, { activation: "softmax" })]);
  const typing = sequential({ input: [2], seed: 1 }, [dense(1)]);
  typing.setWeight("dense_1.kernel", [2, 3]);
  typing.details.features = ["width <b>", "height"];
  writeFileSync(join(folder, "draw.html"), toPage(drawing, { title: "Digits & <more>", weights: "int8" }));
  writeFileSync(join(folder, "type.html"), toPage(typing));
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await page.goto(pathToFileURL(join(folder, "draw.html")).href);
    expect(await page.title()).toBe("Digits & <more>");
    const box = (await page.locator("canvas").boundingBox())!;
    await page.mouse.move(box.x + 40, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + 200, box.y + 200, { steps: 5 });
    await page.mouse.up();
    expect(await page.locator("output").textContent()).toMatch(/^\d$/);
    expect(await page.locator("tbody tr").count()).toBe(10);
    await page.getByRole("button", { name: "Clear" }).click();
    expect(await page.locator("output").textContent()).toBe("");
    await page.goto(pathToFileURL(join(folder, "type.html")).href);
    expect(await page.locator("label span").first().textContent()).toBe("width <b>");
    await page.locator("input").nth(0).fill("10");
    await page.locator("input").nth(1).fill("-1");
    expect(await page.locator("output").textContent()).toBe("17.00");
    expect(errors).toEqual([]);
  } finally {
    await browser.close();
  }
});
