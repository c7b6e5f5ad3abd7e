/**
 * Sessions that answer later, as a GPU's do: a reference backend whose values come as promises gives, wherever a model is
 * used, what the reference gives at once.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  adam,
  type Backend,
  batchNorm,
  DivergenceError,
  dense,
  earlyStopping,
  findLearningRate,
  fromBytes,
  gradcheck,
  load,
  reference,
  sequential,
  sgd,
  trainStep,
} from "chainrule";
import { explain, Recorder } from "chainrule/explain";
import { toModule } from "chainrule/interchange";
import { expect, test } from "vitest";
import { circle } from "../support/data.ts";

/** The reference, which answers in a later turn of the event loop. */
const later = (): Backend => ({
  name: "later",
  open: () => {
    const session = reference("float32").open();
    const wait = <T>(give: () => T) =>
      new Promise<T>((resolve, reject) => setTimeout(() => Promise.resolve().then(give).then(resolve, reject)));
    return Object.create(session, {
      read: { value: (node: never) => wait(() => session.read(node)) },
      compile: {
        value: (plan: never) => {
          const program = session.compile(plan);
          return { run: (inputs: never, count?: number) => wait(() => program.run(inputs, count)), free() {} };
        },
      },
    });
  },
});

const folder = mkdtempSync(join(tmpdir(), "chainrule-later-"));
const make = (backend: Backend) =>
  sequential({ input: [2], seed: 5, backend }, [dense(6, { activation: "tanh" }), batchNorm(), dense(2)]);
const data = circle(40);
const options = () => ({
  loss: "crossEntropy" as const,
  optimizer: adam({ learningRate: 0.02 }),
  onWarning: false as const,
});
const backends = () => [reference("float32"), later()];

test("training, measuring, predicting and saving give the same", async () => {
  const results = await Promise.all(
    backends().map(async (backend, i) => {
      const model = make(backend);
      const path = join(folder, `${i}.safetensors`);
      const checkpoint = { path: join(folder, `${i}.checkpoint`), everySeconds: 0 };
      const history = await model.fit(data, {
        ...options(),
        epochs: 4,
        batchSize: 8,
        validation: 0.2,
        metrics: ["accuracy"],
        checkpoint,
        callbacks: [earlyStopping({ patience: 9 })],
      });
      await model.save(path);
      const resumed = make(backend);
      await resumed.fit(data, {
        ...options(),
        epochs: 5,
        batchSize: 8,
        validation: 0.2,
        metrics: ["accuracy"],
        resume: checkpoint.path,
        callbacks: [earlyStopping({ patience: 9 })],
      });
      return {
        losses: history.map(({ loss }) => loss),
        scores: await model.evaluate(data, { metrics: ["accuracy"] }),
        output: await model.predict(data),
        saved: await (await load(path)).toBytesAsync(),
        again: await resumed.toBytesAsync(),
        weight: await model.weightAsync("dense_1.kernel"),
      };
    }),
  );
  expect(results[1]).toEqual(results[0]);
});

test("a step by hand, the search for a learning rate, the gradient check and the explanation give the same", async () => {
  const results = await Promise.all(
    backends().map(async (backend) => {
      const model = make(backend);
      const { suggestion } = await findLearningRate(model, data, { loss: "crossEntropy", steps: 12 });
      const step = trainStep(model, { loss: "crossEntropy", optimizer: sgd(), gradients: true });
      const results = [await step(data), await step(data)];
      const report = await gradcheck(model, data, { loss: "crossEntropy", elements: 2 });
      const explanation = await explain(model, data, { loss: "crossEntropy" });
      return [suggestion, results, report.passed, explanation.loss.value, await model.weightAsync("dense_2.bias")];
    }),
  );
  expect(results[1]).toEqual(results[0]);
  expect(results[0][2]).toBe(true);
});

test("a recorder rewinds to the same moment", async () => {
  const results = await Promise.all(
    backends().map(async (backend) => {
      const recorder = new Recorder({ everyMilliseconds: 0 });
      await make(backend).fit(data, { ...options(), epochs: 2, batchSize: 8, observer: recorder });
      const then = await (await recorder.modelAt(7)).toBytesAsync();
      const step = await recorder.explain(6);
      recorder.close();
      return [then, step.loss.value];
    }),
  );
  expect(results[1]).toEqual(results[0]);
});

test("NaN is named in the same step, and the weights from before it stay", async () => {
  const results = await Promise.all(
    backends().map(async (backend) => {
      const model = make(backend);
      const error = await model
        .fit(data, { ...options(), optimizer: sgd({ learningRate: 1e30 }), epochs: 3, batchSize: 8 })
        .then(
          () => undefined,
          (error: unknown) => error,
        );
      expect(error).toBeInstanceOf(DivergenceError);
      return [(error as DivergenceError).message, await model.toBytesAsync()];
    }),
  );
  expect(results[1]).toEqual(results[0]);
});

test("what cannot wait says what can", async () => {
  const model = make(later());
  for (const ask of [() => model.weight("dense_1.kernel"), () => model.toBytes(), () => toModule(model)])
    expect(ask).toThrow(
      expect.objectContaining({ code: "not-at-once", message: expect.stringContaining("toBytesAsync") }),
    );
  expect(toModule(fromBytes(await model.toBytesAsync()))).toBeTruthy();
});
