/** Data sets: the check, splits that keep shares, plain arrays, statistics, small sets, varied images. */
import { expect, test } from "vitest";
import { augment, augmentImage } from "../../src/data/augment.ts";
import { checkDataset, type Dataset, split, statistics, take } from "../../src/data/dataset.ts";
import { arraysToDataset, toDataset } from "../../src/data/from-arrays.ts";
import { circles, curve, iris, moons, spirals, xor } from "../../src/data/toy.ts";
import { ArgumentError, type DataError, ShapeError } from "../../src/errors.ts";
import { RandomStream } from "../../src/random.ts";

const table: Dataset = {
  x: new Float32Array([1, 2, 3, 4]),
  y: new Int32Array([0, 1]),
  count: 2,
  inputShape: [2],
  task: "classification",
  classes: ["a", "b"],
  features: ["p", "q"],
};
const image = { inputShape: [2, 1, 1], features: undefined as unknown as string[] };
test.each<[string, Partial<Dataset>, RegExp, object]>([
  ["NaN in a table", { x: new Float32Array([1, 2, 3, Number.NaN]) }, /x is NaN/, { row: 2, column: "q" }],
  [
    "infinity in an image",
    { x: new Float32Array([1, 2, 3, -1 / 0]), ...image },
    /x is -Infinity/,
    { row: 2, column: "pixel (1, 0)" },
  ],
  ["a label too large", { y: new Int32Array([0, 2]) }, /label is 2; labels go from 0 to 1/, { row: 2 }],
  ["a negative label", { y: new Int32Array([-1, 0]) }, /label is -1/, { row: 1 }],
  ["too few labels", { y: new Int32Array(1) }, /1 labels for 2 rows/, {}],
  ["too few features", { x: new Float32Array(3) }, /x has 3 numbers, but 2 rows of shape \[2\] take 4/, {}],
  ["no rows", { count: 0, x: new Float32Array(), y: new Int32Array() }, /no rows/, {}],
  ["a bad shape", { inputShape: [-2] }, /inputShape is \[-2\]/, {}],
  [
    "a target of NaN",
    { task: "regression", y: new Float32Array([1, Number.NaN]) },
    /y is NaN/,
    { row: 2, column: "the target" },
  ],
  ["ragged targets", { task: "regression", y: new Float32Array(3) }, /3 numbers for 2 rows/, {}],
])("%s is a DataError with row and column", (_, change, message, at) => {
  checkDataset(table);
  const check = () => checkDataset({ ...table, ...change }, "f");
  expect(check).toThrow(message);
  try {
    check();
  } catch (error) {
    expect((error as DataError).at).toEqual({ file: "f", ...at });
  }
});

test("splits keep the share of every class, give every row once, and follow the seed", () => {
  const labels = Int32Array.from({ length: 1000 }, (_, i) => (i % 10 === 0 ? 2 : i % 4 === 0 ? 1 : 0));
  const data: Dataset = {
    x: Float32Array.from(labels.keys()),
    y: labels,
    count: 1000,
    inputShape: [1],
    task: "classification",
  };
  const parts = split(data, [0.7, 0.2, 0.1], { seed: 3 });
  expect(parts.map((part) => part.count)).toEqual([700, 200, 100]);
  expect(parts.flatMap((part) => [...part.x]).sort((a, b) => a - b)).toEqual([...data.x]);
  for (const label of [0, 1, 2]) {
    const all = labels.filter((value) => value === label).length;
    parts.forEach((part, k) => {
      const here = part.y.filter((value) => value === label).length;
      expect(Math.abs(here - all * [0.7, 0.2, 0.1][k])).toBeLessThanOrEqual(1.5);
    });
  }
  expect(split(data, [0.7], { seed: 3 })[0].x).toEqual(split(data, [0.7], { seed: 3 })[0].x);
  expect(split(data, [0.7], { seed: 4 })[0].x).not.toEqual(split(data, [0.7], { seed: 3 })[0].x);
  expect(split(data, [0.25], { stratify: false })[0].count).toBe(250);
  expect(() => split(data, [0.7, 0.4])).toThrow(ArgumentError);
  expect(() => split(take(data, [0]), [0.1, 0.9])).toThrow(/would be empty/);
  expect(() => take(data, [1000])).toThrow(ArgumentError);
});

test("plain arrays", () => {
  const named = toDataset({ x: [[[1], [2]], [[3], [4]]], y: ["no", "yes"] }); // biome-ignore format: one line
  expect([named.inputShape, named.classes, [...named.y], [...named.x]]).toEqual([
    [2, 1],
    ["no", "yes"],
    [0, 1],
    [1, 2, 3, 4],
  ]);
  const regression = toDataset({ x: [1, 2], y: [[0.5, 1], [2, 3]] }); // biome-ignore format: one line
  expect([regression.task, regression.inputShape, [...regression.y]]).toEqual(["regression", [1], [0.5, 1, 2, 3]]);
  expect(toDataset({ x: [1, 2], y: [3, 4], task: "regression" }).y).toEqual(new Float32Array([3, 4]));
  const oneHot = toDataset({ x: [1, 2], y: [[0, 1], [1, 0]], classes: ["a", "b"] }); // biome-ignore format: one line
  expect([oneHot.task, [...oneHot.y], oneHot.classes]).toEqual(["classification", [1, 0], ["a", "b"]]);
  const bytes = new Uint8Array(8);
  expect(toDataset({ x: bytes, y: [0, 1], inputShape: [2, 2, 1] }).x).toBe(bytes);
  expect(() => toDataset({ x: [[1, 2], [3]], y: [0, 1] })).toThrow(
    /x, row 2 has 1 values; 2 are wanted: its shape is \[2\]/,
  );
  expect(() => toDataset({ x: [[1], ["2" as unknown as number]], y: [0, 1] })).toThrow(
    /x, row 2, column 1 is "2"; a number was wanted/,
  );
  expect(() => toDataset({ x: [[1], [Number.NaN]], y: [0, 1] })).toThrow(/row 2, column "1": x is NaN/);
  expect(() => toDataset({ x: [[1], [2]], y: [0] })).toThrow(/1 labels for 2 rows/);
  expect(() => toDataset({ x: [[1], [2]], y: [0.5, 1], task: "classification" })).toThrow(/label is 0.5/);
  expect(() => toDataset({ x: [[1], [2]], y: [0, 2e9] })).toThrow(
    /label is 2000000000; wanted is a whole number from 0 to 255/,
  );
  expect(() => toDataset({ x: bytes, y: [0], inputShape: [3] })).toThrow(/do not divide/);
  expect(() => arraysToDataset({ shape: [2], data: bytes }, { shape: [2], data: bytes })).toThrow(/exchanged/);
});

test("a row keeps the shape it came in: sequences, images, and what inputShape says; pixels of files become grey images", () => {
  const sequences = [0, 1].map((i) => Array.from({ length: 48 }, (_, t) => [i + t / 48]));
  const flat = Float32Array.from(sequences.flat(2));
  const y = [0, 1];
  expect(toDataset({ x: sequences, y }).inputShape).toEqual([48, 1]);
  expect(toDataset({ x: sequences, y, inputShape: [48, 1] }).inputShape).toEqual([48, 1]);
  expect(toDataset({ x: flat, y, inputShape: [16, 3] }).inputShape).toEqual([16, 3]);
  expect(toDataset({ x: new Uint8Array(8), y, inputShape: [2, 2] }).inputShape).toEqual([2, 2]);
  const labels = { shape: [2], data: new Uint8Array([0, 1]) };
  expect(arraysToDataset({ shape: [2, 48, 1], data: flat }, labels).inputShape).toEqual([48, 1]);
  expect(arraysToDataset({ shape: [2, 2, 2], data: new Uint8Array(8) }, labels).inputShape).toEqual([2, 2, 1]);
  expect([...toDataset({ x: sequences, y }).x]).toEqual([...flat]);
});

test("statistics by hand", () => {
  const { mean, deviation } = statistics({ ...table, x: new Float32Array([1, 5, 3, 5]) });
  expect([[...mean], [...deviation]]).toEqual([[2, 5], [1, 1]]); // biome-ignore format: one line
});

test("iris has the means that the literature gives", () => {
  const { mean, deviation } = statistics(iris());
  // numpy: load_iris().data.mean(0), .std(0)
  for (const [i, value] of [5.843333, 3.057333, 3.758, 1.199333].entries()) expect(mean[i]).toBeCloseTo(value, 5);
  for (const [i, value] of [0.825301, 0.434411, 1.759404, 0.759693].entries())
    expect(deviation[i]).toBeCloseTo(value, 5);
});

test("the small sets pass the check and follow the seed", () => {
  for (const make of [spirals, moons, circles, curve]) {
    checkDataset(make());
    expect(make({ seed: 7 }).x).toEqual(make({ seed: 7 }).x);
    expect(make({ seed: 7 }).x).not.toEqual(make({ seed: 8 }).x);
    expect(make({ count: 50 }).count).toBe(50);
    expect(() => make({ count: 0 })).toThrow(ArgumentError);
  }
  for (const data of [xor(), iris()]) checkDataset(data);
  const { x, y } = circles({ noise: 0, count: 10 });
  y.forEach((label, i) => {
    expect(Math.hypot(x[2 * i], x[2 * i + 1])).toBeCloseTo(label ? 0.5 : 1, 5);
  });
});

/** A source of numbers that gives those it is told, for hand arithmetic. */
const told = (...uniforms: number[]) => ({ uniform: () => uniforms.shift()! }) as unknown as RandomStream;
const pixels = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 9]);
const still = 0.5;
test.each<[string, object, number[], number[]]>([
  ["nothing", {}, [still, still, still, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8, 9]],
  ["one to the right", { shift: 1 }, [1, still, still, 0, 0], [0, 1, 2, 0, 4, 5, 0, 7, 8]],
  ["half a pixel down", { shift: 1, fill: 0 }, [still, 0.75, still, 0, 0], [1, 1, 2, 3, 4, 5, 6, 7, 8]],
  ["mirrored left to right", { flip: "horizontal" }, [still, still, still, 0, 0], [3, 2, 1, 6, 5, 4, 9, 8, 7]],
  ["mirrored top to bottom", { flip: "vertical" }, [still, still, still, 0, 0], [7, 8, 9, 4, 5, 6, 1, 2, 3]],
  ["a quarter turn clockwise", { rotate: 90 }, [still, still, 1, 0, 0], [7, 4, 1, 8, 5, 2, 9, 6, 3]],
])("images: %s", (_, options, uniforms, wanted) => {
  expect([...augmentImage(pixels, [3, 3, 1], options, told(...uniforms))]).toEqual(wanted);
});

test("varied images follow seed, epoch and row, keep type and labels, and leave the originals", () => {
  const data: Dataset = {
    x: new Uint8Array(784 * 4).map((_, i) => i % 251),
    y: new Int32Array(4),
    count: 4,
    inputShape: [28, 28, 1],
    task: "classification",
  };
  const before = data.x.slice();
  const options = { shift: 2, rotate: 15, flip: "both", noise: 5, seed: 7 } as const;
  const out = augment(data, options);
  expect(out.x).toBeInstanceOf(Uint8Array);
  expect(out.x).toEqual(augment(data, options).x);
  expect(out.x).not.toEqual(augment(data, { ...options, epoch: 1 }).x);
  expect(out.x).not.toEqual(augment(data, { ...options, seed: 8 }).x);
  expect(augment(take(data, [0, 1]), options).x).toEqual(out.x.slice(0, 784 * 2));
  expect(data.x).toEqual(before);
  expect(() => augment({ ...data, inputShape: [784] }, {})).toThrow(ShapeError);
  expect(() => augment(data, { shift: -1 })).toThrow(ArgumentError);
  const noisy = augmentImage(new Float32Array(10_000), [100, 100, 1], { noise: 0.5 }, new RandomStream(1, "noise"));
  const mean = noisy.reduce((sum, value) => sum + value, 0) / 10_000;
  const std = Math.sqrt(noisy.reduce((sum, value) => sum + value * value, 0) / 10_000);
  expect(Math.abs(mean)).toBeLessThan(0.02);
  expect(Math.abs(std - 0.5)).toBeLessThan(0.02);
});
