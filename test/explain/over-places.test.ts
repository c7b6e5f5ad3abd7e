/** A step along a sequence: gates and states by name, the gradient that comes back through time, whom attention looks at. */
import { dense, gru, lstm, multiHeadAttention, RandomStream, sequential, sgd, simpleRnn } from "chainrule";
import { explain, reportText, stepReport } from "chainrule/explain";
import { describe, expect, test } from "vitest";

const random = new RandomStream(4, "over places");
const batch = (rows: number, places: number, features: number) =>
  Array.from({ length: rows }, () =>
    Array.from({ length: places }, () => Array.from({ length: features }, () => random.normal())),
  );
const options = { loss: "meanSquaredError", optimizer: sgd({ learningRate: 0.1 }) };

describe("recurrent layers", () => {
  test("a state of one unit by hand: hₜ = tanh(w xₜ + r hₜ₋₁), ∂L/∂hₜ₋₁ = ∂L/∂hₜ (1 − hₜ²) r", async () => {
    const model = sequential({ input: [4, 1] }, [simpleRnn(1, { bias: false })]);
    const [w, r] = [0.7, 0.5];
    model.setWeight("simpleRnn_1.kernel", [w]);
    model.setWeight("simpleRnn_1.recurrentKernel", [r]);
    const x = [0.3, -1, 2, 0.1];
    const step = await explain(model, { x: [x.map((v) => [v])], y: [[0.25]] }, options);
    const h: number[] = [];
    for (const [t, v] of x.entries()) h.push(Math.tanh(w * v + r * (h[t - 1] ?? 0)));
    // L = (h₄ − y)²
    const back = [0, 0, 0, 2 * (h[3] - 0.25)];
    for (let t = 2; t >= 0; t--) back[t] = back[t + 1] * (1 - h[t + 1] ** 2) * r;
    const [{ layer, arrays, vanished }] = step.overPlaces;
    const state = arrays.find(({ name }) => name === "state")!;
    expect([layer, vanished]).toEqual(["simpleRnn_1", undefined]);
    for (const t of h.keys()) {
      expect(state.mean[t]).toBeCloseTo(h[t], 6);
      expect(state.gradient[t]).toBeCloseTo(Math.abs(back[t]), 6);
    }
  });

  test("where the gradient vanishes: with a recurrent weight of 0.1 it is a tenth at each place, at most", async () => {
    const model = sequential({ input: [12, 1] }, [simpleRnn(1, { bias: false })]);
    model.setWeight("simpleRnn_1.kernel", [1e-3]);
    model.setWeight("simpleRnn_1.recurrentKernel", [0.1]);
    const step = await explain(model, { x: batch(2, 12, 1), y: [[1], [-1]] }, options);
    const { vanished } = step.overPlaces[0];
    // (1 − h²) is 1 within 1e-6, so it is 0.1⁵ = 1e-5 at place 7, and 1e-4 less a little at place 8.
    expect(vanished).toMatchObject({ longest: 12 });
    expect([7, 8]).toContain(vanished!.place);
    expect(vanished!.ratio).toBeLessThan(1e-4);
    const text = reportText(stepReport(step));
    expect(text).toMatch(/On its way back from place 12 the gradient has vanished at place [78]/);
    expect(JSON.parse(JSON.stringify(step)).overPlaces).toEqual(step.overPlaces);
  });

  test("gates have their names at each place, in layers of layers too", async () => {
    const model = sequential({ input: [5, 2], seed: 3 }, [
      lstm(3, { sequences: true }),
      gru(2, { backwards: true }),
      dense(1),
    ]);
    const step = await explain(model, { x: batch(3, 5, 2), y: [[1], [0], [2]] }, options);
    const names = step.overPlaces.map(({ layer, arrays }) => [layer, ...arrays.map(({ name }) => name).sort()]);
    expect(names).toEqual([
      ["lstm_1", "candidate", "cell", "forget", "input", "output", "state"],
      ["gru_1", "candidate", "reset", "state", "update"],
    ]);
    const forget = step.overPlaces[0].arrays.find(({ name }) => name === "forget")!;
    for (let t = 0; t < 5; t++) {
      const values = step.values(`lstm_1.forget.${t + 1}`);
      expect(forget.mean[t]).toBeCloseTo(values.reduce((a, b) => a + b, 0) / values.length, 12);
      const gradient = step.gradient(`lstm_1.forget.${t + 1}`);
      expect(forget.gradient[t]).toBeCloseTo(Math.hypot(...gradient), 12);
    }
  });
});

describe("attention", () => {
  test("the weights of each head, of the sample asked for; none of what comes later", async () => {
    const model = sequential({ input: [4, 6], seed: 5 }, [multiHeadAttention({ heads: 2, causal: true }), dense(1)]);
    const y = [1, 2].map((v) => Array.from({ length: 4 }, () => [v]));
    const step = await explain(model, { x: batch(2, 4, 6), y }, options);
    const [{ layer, heads }] = step.attention(1);
    expect([layer, heads.length, heads[0].length, heads[0][0].length]).toEqual(["multiHeadAttention_1", 2, 4, 4]);
    for (const rows of heads)
      rows.forEach((row, t) => {
        expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 6);
        expect(row.slice(t + 1).every((weight) => weight === 0)).toBe(true);
      });
    const all = step.values("multiHeadAttention_1.weights", 1);
    expect(heads.flat(2)).toEqual([...all]);
    expect(reportText(stepReport(step, 1))).toMatch(/whom each head looks at most/);
    expect(() => step.attention(2)).toThrow(/no sample 2/);
  });

  test("a network without sequences has nothing to tell", async () => {
    const step = await explain(sequential({ input: [2] }, [dense(1)]), { x: [[1, 2]], y: [[1]] }, options);
    expect([step.overPlaces, step.attention()]).toEqual([[], []]);
    expect(reportText(stepReport(step))).not.toMatch(/along the sequence/i);
  });
});
