/** Schedules, clipping and batch sizes inside a training run, and that a run resumes in the midst of them. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  accumulate,
  adam,
  adamw,
  dense,
  type FitOptions,
  nadam,
  reduceOnPlateau,
  rmsprop,
  sequential,
  sgd,
  warmup,
} from "chainrule";
import { expect, test } from "vitest";
import { circle } from "../support/data.ts";
import { stopAfter } from "../support/stopping.ts";

const net = () => sequential({ input: [2], seed: 4 }, [dense(8, { activation: "tanh" }), dense(2)]);
const data = circle(50);
const bits = (model: ReturnType<typeof net>) => Buffer.from(model.toBytes()).toString("base64");

const plateau = () => reduceOnPlateau({ learningRate: 0.05, factor: 0.7, patience: 0, threshold: 0.5 });

test.each([
  { name: "accumulation", optimizer: () => accumulate(adam({ learningRate: plateau() }), 3) },
  { name: "plateau", optimizer: () => nadam({ learningRate: plateau() }) },
  {
    name: "warm-up, clipping, decay",
    optimizer: () => adamw({ learningRate: warmup({ steps: 20, next: plateau() }), globalClipNorm: 0.1 }),
  },
  {
    name: "centred",
    optimizer: () => rmsprop({ centered: true, momentum: 0.5, learningRate: (step) => 0.01 / (1 + step) }),
  },
])("a run with $name resumes with the same bits wherever it was stopped", async ({ optimizer }) => {
  const settings = (): FitOptions => ({
    loss: "crossEntropy",
    optimizer: optimizer(),
    batchSize: 8,
    epochs: 5,
    validation: circle(20),
  });
  const undisturbed = net();
  const history = await undisturbed.fit(data, settings());
  // An epoch has 7 steps; after 7 and 14 the run stops between the last step and the validation.
  for (const steps of [3, 7, 14, 24]) {
    const path = await stopAfter(steps, net(), data, settings());
    const resumed = net();
    const rest = await resumed.fit(data, { ...settings(), resume: path });
    expect(bits(resumed)).toBe(bits(undisturbed));
    expect(rest.at(-1)!.validation).toEqual(history.at(-1)!.validation);
  }
});

test("batchSize all is one step per epoch: w ← w − η ∂L/∂w over all rows", async () => {
  const model = sequential({ input: [1] }, [dense(1, { bias: false })]);
  model.setWeight("dense_1.kernel", [0]);
  let steps = 0;
  await model.fit(
    { x: [[1], [2], [3]], y: [[2], [4], [6]] },
    {
      loss: "meanSquaredError",
      optimizer: sgd({ learningRate: 0.01 }),
      batchSize: "all",
      onProgress: (p) => {
        steps = p.steps;
      },
    },
  );
  expect(steps).toBe(1);
  // ∂L/∂w = −2/3 Σ x y = −2/3 · 28
  expect(model.weight("dense_1.kernel")[0]).toBeCloseTo((0.02 / 3) * 28, 6);
});

test("a schedule that the checkpoint was not written with is refused", async () => {
  const path = join(await mkdtemp(join(tmpdir(), "chainrule-")), "run.checkpoint");
  const options = { loss: "crossEntropy", batchSize: 8, epochs: 1 } as const;
  await net().fit(data, { ...options, optimizer: sgd({ learningRate: plateau() }), checkpoint: { path } });
  const other = net().fit(data, { ...options, optimizer: sgd({ learningRate: 0.1 }), resume: path });
  await expect(other).rejects.toThrow(/optimizer/);
});
