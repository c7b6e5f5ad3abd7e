/** The studio's lab, as the page drives it: every moment of a run can be shown, left and come back to. */
import { activationNames, dense, dropout, fromBytes, normalize, optimizerNames, sequential } from "chainrule";
import { readTable, statistics } from "chainrule/data";
import type { Block } from "chainrule/explain";
import { afterEach, describe, expect, test } from "vitest";
import { isSpec } from "../../studio/src/lab/check-spec.ts";
import { Lab } from "../../studio/src/lab/lab.ts";
import { ACTIVATIONS, cardOf, LAYER_CARDS, layerCode, newLayer, OPTIMIZERS } from "../../studio/src/lab/layer-kinds.ts";
import type { Frame } from "../../studio/src/lab/looks.ts";
import { makeLayer } from "../../studio/src/lab/make-layer.ts";
import { FIRST, PRESETS, type Spec, TOYS } from "../../studio/src/lab/spec.ts";
import { WORKED_EXAMPLES } from "../../studio/src/lab/worked-examples.ts";

test("a run that is opened while a frame of another is made: the page gets its frames from the new one", async () => {
  // One row alone means nothing to batchNorm: what is looked at asks the recorder, and a new run's has nothing yet.
  const { spec } = PRESETS.find(({ title }) => title === "The same with batch normalisation")!;
  await opened(spec);
  for (let i = 0; i < 8; i++) {
    await lab.open(spec);
    await frame(({ done }) => done === 0);
    lab.goTo(2);
    await frame(({ moment }) => moment === 2);
    lab.look({ row: i, heldOut: false, gradients: true });
    const next = frames!.next();
    await new Promise((resolve) => setTimeout(resolve, 8 * i));
    await lab.open({ ...FIRST, seed: i });
    await next;
    expect((await frame(({ done }) => done === 0)).moment).toBe(0);
    lab.look({ row: 0, heldOut: false, gradients: false });
  }
});

test("the page offers every activation and optimiser that the library has", () => {
  expect(ACTIVATIONS).toEqual(activationNames());
  expect(OPTIMIZERS).toEqual(optimizerNames());
});

let frames: AsyncGenerator<Frame> | undefined;
let lab: Lab;

/** A lab with a run. */
async function opened(spec: Spec) {
  lab = new Lab();
  const setup = await lab.open(spec);
  frames = lab.frames();
  return setup;
}

/** The next frame that is as wanted. */
async function frame(isWanted: (frame: Frame) => boolean = () => true): Promise<Frame> {
  for (;;) {
    const { value } = await frames!.next();
    if (isWanted(value as Frame)) return value as Frame;
  }
}

afterEach(async () => {
  await lab.close();
});

test("a run is shown, trained, left for the past and come back to with the same bits", async () => {
  const setup = await opened(FIRST);
  expect(setup.layers.map(({ kind }) => kind)).toEqual(["normalize", "dense", "dense", "dense"]);
  expect(setup.layers.map(({ card }) => card)).toEqual([undefined, 0, 1, undefined]);
  const first = await frame();
  expect(first).toMatchObject({ moment: 0, done: 0, state: "ready" });
  expect(first.map!.values).toHaveLength(56 * 56 * 2);
  lab.goTo(150);
  const then = await frame(({ done }) => done === 150);
  expect(then.state).toBe("paused");
  lab.goTo(50);
  const past = await frame(({ moment }) => moment === 50);
  expect(past.done).toBe(150);
  expect(past.weights["dense_1.kernel"]).not.toEqual(then.weights["dense_1.kernel"]);
  lab.goTo(150);
  const again = await frame(({ moment }) => moment === 150);
  expect(again.weights).toEqual(then.weights);
  expect(again.map!.values).toEqual(then.map!.values);
  expect(again.sample!.values).toEqual(then.sample!.values);
});

test("the same spec gives the same bits, and the file is the model that is shown", async () => {
  await opened(FIRST);
  lab.goTo(60);
  await frame(({ done }) => done === 60);
  const bytes = await lab.bytes();
  const model = fromBytes(bytes);
  const { weights } = await (async () => {
    await lab.open(FIRST);
    lab.goTo(60);
    return frame(({ done, moment }) => done === 60 && moment === 60);
  })();
  expect(model.weight("dense_2.kernel")).toEqual(weights["dense_2.kernel"]);
});

test("a weight's numbers are those of explain; the rows of the batch add up to its gradient", async () => {
  await opened(FIRST);
  lab.goTo(30);
  await frame(({ done }) => done === 30);
  const look = await lab.weight("dense_1.kernel", [1, 3]);
  expect(look.moment).toBe(30);
  const { chain, update, finiteDifference } = look.ofBatch;
  expect(finiteDifference.agrees).toBe(true);
  const total = look.shares.reduce((sum, { share }) => sum + share, 0);
  expect(total).toBeCloseTo(chain.gradient, 12);
  lab.goTo(31);
  const next = await frame(({ done }) => done === 31);
  expect(next.weights["dense_1.kernel"][1 * 8 + 3]).toBeCloseTo(update!.after, 6);
  // A row's own gradient, divided by the rows of the batch, is its share.
  const { row, share } = look.shares[0];
  lab.goTo(30);
  lab.look({ row, heldOut: false, gradients: true });
  const shown = await frame(({ moment, sample }) => moment === 30 && sample?.row === row);
  expect(shown.sample!.gradients!.dense_1).toHaveLength(8);
  const own = await lab.weight("dense_1.kernel", [1, 3]);
  expect(own.ofRow.chain.gradient / look.shares.length).toBeCloseTo(share, 10);
  const titles = (blocks: readonly Block[]): string[] =>
    blocks.flatMap((block) => (block.kind === "section" ? [block.title, ...titles(block.blocks)] : []));
  expect(titles(own.batchBlocks)).toContain("Update");
  expect(titles(own.rowBlocks)).not.toContain("Update");
  const unit = await lab.unit("dense_1", [3]);
  expect(unit.unit.steps.at(-1)!.element.value).toBeCloseTo(shown.sample!.values.dense_1[3], 5);
});

test("a number changed by hand moves what follows from it, and is put back", async () => {
  await opened(FIRST);
  lab.goTo(20);
  const before = await frame(({ done }) => done === 20);
  lab.change({ kind: "weight", name: "dense_1.kernel", index: [0, 0], value: 5 });
  const changed = await frame(({ sample }) => sample!.changed);
  expect(changed.sample!.values.dense_1[0]).not.toBe(before.sample!.values.dense_1[0]);
  expect(changed.sample!.values.dense_1[1]).toBe(before.sample!.values.dense_1[1]);
  expect((await lab.weight("dense_1.kernel", [0, 0])).ofRow.weight.value).toBe(5);
  lab.change({ kind: "input", index: 0, value: 9 });
  const both = await frame(({ sample }) => sample!.x[0] === 9);
  expect(both.sample!.values.dense_1[1]).not.toBe(before.sample!.values.dense_1[1]);
  lab.putBack();
  const after = await frame(({ sample }) => !sample!.changed);
  expect(after.sample).toEqual(before.sample);
  expect(after.weights).toEqual(before.weights);
});

describe("every preset opens, trains and explains", () => {
  const presets = PRESETS.filter(({ spec }) => spec.data.kind !== "digits");
  test.each(presets.map((preset) => [preset.title, preset.spec] as const))("%s", async (_, spec) => {
    await opened(spec);
    lab.goTo(12);
    const shown = await frame(({ done }) => done === 12);
    expect(shown.history.steps.length).toBeGreaterThanOrEqual(0);
    const look = await lab.weight("dense_1.kernel", [0, 0]);
    expect(look.ofBatch.finiteDifference.agrees).toBe(true);
    const results = await lab.results(true);
    expect(results.scores.loss).toBeGreaterThan(0);
  });
});

test("playing at full speed goes on until it is paused; the learning rate moves from the next step on", async () => {
  await opened({ ...FIRST, data: TOYS.circles.data });
  await frame();
  lab.play("full");
  const running = await frame(({ done, state }) => done > 200 && state === "running");
  lab.pause();
  const paused = await frame(({ state }) => state === "paused");
  expect(paused.done).toBeGreaterThanOrEqual(running.done);
  expect(paused.history.loss.at(-1)).toBeLessThan(paused.history.loss[0]);
  lab.setLearningRate(1e-9);
  lab.goTo(paused.done + 1);
  const slow = await frame(({ done }) => done === paused.done + 1);
  const moved = slow.weights["dense_1.kernel"].map((w, i) => Math.abs(w - paused.weights["dense_1.kernel"][i]));
  expect(Math.max(...moved)).toBeLessThan(1e-7);
  // The past keeps the rate it was trained with.
  lab.goTo(paused.done);
  expect((await frame(({ moment }) => moment === paused.done)).weights).toEqual(paused.weights);
});

test("a run that diverges says where, and can be looked at still", async () => {
  await opened({
    ...FIRST,
    layers: [{ kind: "dense", config: { units: 4, activation: "relu" } }],
    optimizer: { name: "sgd", learningRate: 1e38, weightDecay: 0 },
  });
  lab.goTo(50);
  const failed = await frame(({ state }) => state === "failed");
  expect(failed.failure!.message).toMatch(/^Training stopped at step/);
  expect((await lab.results(false)).scores).toBeDefined();
  await lab.open(FIRST);
  expect((await frame(({ state }) => state === "ready")).done).toBe(0);
});

test("a layer that does not fit is named by its card, and what was open stays", async () => {
  await opened(FIRST);
  const wrong: Spec = { ...FIRST, layers: [...FIRST.layers, { kind: "maxPool2d", config: { size: 2 } }] };
  await expect(lab.open(wrong)).rejects.toMatchObject({ name: "CardError", card: 2 });
  lab.goTo(5);
  expect((await frame(({ done }) => done === 5)).state).toBe("paused");
});

test("every card makes its layer with its usual settings, and is found again in the layer", () => {
  for (const kind of Object.keys(LAYER_CARDS)) {
    const layer = makeLayer(newLayer(kind));
    expect(layer.kind).toBe(kind);
    expect(cardOf(layer)).toEqual({ kind, config: layer.config });
    expect(layerCode(newLayer(kind))).toMatch(new RegExp(`^${kind}\\(`));
  }
  expect(layerCode({ kind: "dense", config: { units: 3, activation: "tanh", init: "usual" } })).toBe(
    'dense(3, { activation: "tanh" })',
  );
});

test("a model file with its rows: cards, weights and the way it reads tables are its own", async () => {
  const csv = "size,colour,ripe\n3,red,yes\n1,green,no\n2,red,yes\n4,green,no\n5,red,yes\n2,green,no\n";
  const data = await readTable(csv, { target: "ripe" });
  const trained = sequential({ input: data.inputShape, seed: 5 }, [
    normalize(statistics(data)),
    dense(6, { activation: "tanh" }),
    dropout(0.1),
    dense(1),
  ]);
  await trained.fit(data, { loss: "binaryCrossEntropy", epochs: 20, onWarning: false });
  Object.assign(trained.details, {
    task: data.task,
    classes: data.classes,
    features: data.features,
    schema: data.schema,
  });
  lab = new Lab();
  const found = lab.readModel("fruit.safetensors", trained.toBytes());
  expect(found).toMatchObject({ start: "fruit.safetensors", seed: 5, loss: "binaryCrossEntropy" });
  expect(found.layers!.map(({ kind }) => kind)).toEqual(["dense", "dropout"]);
  // Other rows of the same columns, in which a colour is missing: the model's own features stay.
  const rows = "ripe,colour,size\nyes,red,3\nno,red,1\nyes,red,2\nno,red,7\n";
  await lab.readFiles([{ name: "more.csv", bytes: new TextEncoder().encode(rows) }]);
  const setup = await lab.open({ ...FIRST, ...found, data: { kind: "file", name: "more.csv" }, heldOut: 0 });
  expect(setup.data.features).toEqual(data.features);
  frames = lab.frames();
  const shown = await frame();
  expect(shown.weights["dense_1.kernel"]).toEqual(trained.weight("dense_1.kernel"));
  expect(shown.weights["normalize_1.mean"]).toEqual(trained.weight("normalize_1.mean"));
  expect(shown.sample!.said[1]).toBeCloseTo((await trained.classify([[3, 0, 1]])).probabilities[1], 6);
  // Data of another form are refused, and what was open stays.
  await expect(lab.open({ ...FIRST, ...found })).rejects.toThrow("fruit.safetensors takes rows of 3");
  expect((await lab.results(false)).scores.loss).toBeGreaterThan(0);
  expect(() => lab.readModel("net.safetensors", new Uint8Array(9))).toThrow();
});

describe("the worked examples are those of examples/", () => {
  test.each(WORKED_EXAMPLES)("$title", async ({ spec }) => {
    expect(isSpec(JSON.parse(JSON.stringify(spec)))).toBe(true);
    const setup = await opened(spec);
    // No layer but those of the cards.
    expect(setup.layers.every(({ card }) => card !== undefined)).toBe(true);
    await frame();
    lab.step("batch", 1);
    await frame(({ done, state }) => done === 1 && state !== "running");
  });

  const named = (number: number): Spec => WORKED_EXAMPLES[number - 1].spec;

  test("2: a weight of the first layer, its gradient and what the step makes of it", async () => {
    const { step } = await import("../../examples/2-backward-pass.ts");
    await opened(named(2));
    void frame();
    const { ofRow, ofBatch } = await lab.weight("dense_1.kernel", [0, 1]);
    const expected = step.weight("dense_1.kernel", [0, 1]);
    expect(ofRow.chain.gradient).toBeCloseTo(expected.chain.gradient, 7);
    expect(ofBatch.update!.after).toBeCloseTo(expected.update!.after, 6);
  });

  test("3: the second hidden unit's sum is −0.5, and no gradient comes through", async () => {
    await opened(named(3));
    void frame();
    const { ofRow } = await lab.weight("dense_1.kernel", [0, 1]);
    expect(ofRow.chain.gradient).toBeCloseTo(0, 12);
    expect(await lab.measure(["z dense_1 1"])).toEqual([expect.closeTo(-0.5, 6)]);
  });

  test("6: 0.5 − 0.01 · 0.1 = 0.499, 0.3 − 0.01 · 0.2 = 0.298", async () => {
    await opened(named(6));
    void frame();
    expect((await lab.weight("dense_1.kernel", [0, 0])).ofBatch.update!.after).toBeCloseTo(0.499, 6);
    expect((await lab.weight("dense_1.kernel", [1, 0])).ofBatch.update!.after).toBeCloseTo(0.298, 6);
  });
});
