/** What is said of networks over time: where the gradient is lost or grows, heads that all look at one place, padding that counts. */
import {
  dense,
  globalAveragePool1d,
  health,
  lstm,
  type Model,
  masking,
  multiHeadAttention,
  reference,
  sequential,
  simpleRnn,
  type Warning,
} from "chainrule";
import { describe, expect, test } from "vitest";

const PLACES = 30;

/** A state of two numbers, each multiplied by `factor` at each place: the gradient grows or shrinks by it. */
async function warningsFor(factor: number, backwards: boolean): Promise<Warning[]> {
  const model = sequential({ input: [PLACES, 1], seed: 1, backend: reference("float64") }, [
    simpleRnn(2, { activation: "linear", bias: false, backwards }),
    dense(1),
  ]);
  model.setWeight("simpleRnn_1.recurrentKernel", [factor, 0, 0, factor]);
  const rows = 4;
  const data = {
    x: Array.from({ length: rows }, (_, row) => Array.from({ length: PLACES }, (_, t) => Math.sin(row + t))),
    y: Array.from({ length: rows }, (_, row) => [Math.cos(row)]),
  };
  return (await health(model, data, { loss: "meanSquaredError" })).filter(({ where }) => where === "simpleRnn_1");
}

describe("on the way back through time", () => {
  // 0.2⁸ is above a millionth and 0.2⁹ below: the gradient is lost nine places from where it begins.
  test.each([
    [false, /at places 1 to 21 it is less than 0.000001/],
    [true, /at places 10 to 30 it is less than 0.000001/],
  ])("the gradient vanishes, backwards %s", async (backwards, message) => {
    const [warning, ...others] = await warningsFor(0.2, backwards);
    expect(others).toEqual([]);
    expect(warning.kind).toBe("vanishingGradient");
    expect(warning.message).toMatch(message);
  });

  // 3⁸ = 6561, 3⁹ = 19683.
  test.each([
    [false, /at place 21 it is 10000 times that at place 30/],
    [true, /at place 10 it is 10000 times that at place 1/],
  ])("the gradient explodes, backwards %s", async (backwards, message) => {
    const [warning, ...others] = await warningsFor(3, backwards);
    expect(others).toEqual([]);
    expect(warning.kind).toBe("explodingGradient");
    expect(warning.message).toMatch(message);
  });

  test("a gradient that stays as it is is not spoken of", async () => {
    expect(await warningsFor(1, false)).toEqual([]);
    const model = sequential({ input: [20, 2], seed: 1 }, [lstm(8), dense(2)]);
    const x = Array.from({ length: 40 }, (_, row) => Array.from({ length: 40 }, (_, i) => Math.sin(row * i)));
    const warnings = await health(model, { x, y: x.map((_, row) => row % 2) }, { loss: "crossEntropy" });
    expect(warnings.map(({ kind }) => kind)).toEqual([]);
    model.close();
  });
});

test("a head in which all places look at one", async () => {
  const model = sequential({ input: [5, 2], seed: 1, backend: reference("float64") }, [
    multiHeadAttention({ heads: 1, bias: false }),
    globalAveragePool1d(),
    dense(2),
  ]);
  // Features: 1, and whether it is the third place. Queries are the first, keys 40 times the second.
  const x = Array.from({ length: 8 }, () => [0, 1, 2, 3, 4].flatMap((t) => [1, t === 2 ? 1 : 0]));
  const data = { x, y: x.map((_, row) => row % 2) };
  const collapsed = async (keys: number): Promise<Warning[]> => {
    model.setWeight("multiHeadAttention_1.kernel", [1, 0, 0, 0, 1, 0, 0, 0, keys, 0, 0, 1]);
    const warnings = await health(model, data, { loss: "crossEntropy" });
    return warnings.filter(({ kind }) => kind === "collapsedAttention");
  };
  const [warning] = await collapsed(40);
  expect(warning.message).toMatch(/head 1 of multiHeadAttention_1 all places look at place 3 alone/);
  expect(await collapsed(1)).toEqual([]);
});

test("padding that counts in the loss", async () => {
  const model = (layers: Parameters<typeof sequential>[1]): Model =>
    sequential({ input: [6, 2], seed: 1, backend: reference("float64") }, layers);
  const ends = [6, 3, 2, 4];
  const x = ends.map((end) => Array.from({ length: 12 }, (_, i) => (i < end * 2 ? Math.sin(i + end) : 0)));
  const said = async (of: Model, y: number[][]): Promise<string[]> =>
    (await health(of, { x, y }, { loss: "crossEntropy" }))
      .filter(({ kind }) => kind === "countedPadding")
      .map(({ message }) => message);
  const all = ends.map(() => [0, 1, 0, 1, 0, 1]);
  const [message] = await said(model([dense(2)]), all);
  expect(message).toMatch(/3 of 4 rows end in several places of nothing but 0, which count in the loss.*masking\(\)/);
  expect(await said(model([masking(), dense(2)]), all)).toEqual([]);
  const leftOut = ends.map((end) => [0, 1, 0, 1, 0, 1].map((label, t) => (t < end ? label : -1)));
  expect(await said(model([dense(2)]), leftOut)).toEqual([]);
});
