/** Classes for each place of a sequence: losses, scores, and what does not count. */
import { dense, embedding, sequential, trainStep } from "chainrule";
import { expect, test } from "vitest";

const T = 3;
const make = () => sequential({ input: [T], seed: 2 }, [embedding(5, 6), dense(4)]);

/** The mean of −ln p of the right class over the places that count, of each row, and then over rows: by hand. */
async function byHand(model: ReturnType<typeof make>, x: number[][], y: number[][]): Promise<number> {
  const logits = (await model.predict(x)) as Float32Array;
  const rows = y.map((classes, i) => {
    const losses = classes.flatMap((c, t) => {
      const z = Array.from(logits.subarray((i * T + t) * 4, (i * T + t + 1) * 4));
      return c < 0 ? [] : [Math.log(z.reduce((sum, v) => sum + Math.exp(v), 0)) - z[c]];
    });
    return losses.reduce((a, b) => a + b, 0) / Math.max(1, losses.length);
  });
  return rows.reduce((a, b) => a + b, 0) / rows.length;
}

const x = [
  [0, 1, 2],
  [3, 4, 0],
];

test.each([
  [
    "all count",
    [
      [1, 2, 3],
      [0, 0, 1],
    ],
  ],
  [
    "some do not",
    [
      [1, -1, 3],
      [-1, -1, 1],
    ],
  ],
  [
    "none of a row does",
    [
      [1, 2, 3],
      [-1, -1, -1],
    ],
  ],
])("%s", async (_, y) => {
  const model = make();
  const { loss } = await model.evaluate({ x, y }, { loss: "crossEntropy" });
  expect(loss).toBeCloseTo(await byHand(model, x, y), 5);
  // Flat, it means the same.
  const flat = await model.evaluate({ x, y: Int32Array.from(y.flat()) }, { loss: "crossEntropy" });
  expect(flat.loss).toBe(loss);
});

test("accuracy counts places, and those without a class do not", async () => {
  const model = make();
  const logits = (await model.predict(x)) as Float32Array;
  const best = Array.from({ length: 6 }, (_, i) => {
    const z = logits.subarray(i * 4, (i + 1) * 4);
    return z.indexOf(Math.max(...z));
  });
  const wrong = (c: number) => (c + 1) % 4;
  const y = [
    [best[0], wrong(best[1]), best[2]],
    [best[3], -1, -1],
  ];
  const { accuracy } = await model.evaluate({ x, y }, { loss: "crossEntropy", metrics: ["accuracy"] });
  expect(accuracy).toBeCloseTo((2 / 3 + 1) / 2, 6);
});

test("a place that does not count has no gradient", async () => {
  const model = make();
  const before = model.weight("embedding_1.table");
  // Token 4 stands only where nothing counts.
  const step = trainStep(model, { loss: "crossEntropy", gradients: true });
  const { gradients } = await step({ x: [[0, 1, 4]], y: [[1, 2, -1]] });
  const rows = Array.from({ length: 5 }, (_, i) => gradients["embedding_1.table"].subarray(i * 6, (i + 1) * 6));
  expect(rows[4].every((g) => g === 0)).toBe(true);
  expect(rows[0].some((g) => g !== 0)).toBe(true);
  expect(before).toHaveLength(30);
});

test("targets of another form are refused, with the place", async () => {
  const model = make();
  const evaluate = (y: unknown) => model.evaluate({ x, y: y as number[][] }, { loss: "crossEntropy" });
  await expect(
    evaluate([
      [1, 2, 3],
      [0, 4, 1],
    ]),
  ).rejects.toThrow(/row 2, place 2 is 4; class numbers from 0 to 3/);
  await expect(evaluate([1, 2])).rejects.toThrow(
    /2 values for 2 rows; a class for each of 3 places was wanted.*flatten\(\)/,
  );
  await expect(
    evaluate([
      [1, 2],
      [0, 1],
    ]),
  ).rejects.toThrow(/wanted/);
});
