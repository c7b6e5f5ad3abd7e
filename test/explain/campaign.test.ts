/**
 * Random weights of ten kinds of nets, with every activation, loss and optimiser in turn, at the last step of a recorded
 * run: the gradient shown is the engine's, the products of the factors add up to it, nudging the weight agrees, and w′
 * is the weight that the run left behind. CHAINRULE_CAMPAIGN=500 takes that many weights; 60 unless said.
 */
import {
  activation,
  activationNames,
  adam,
  batchNorm,
  conv1d,
  conv2d,
  dense,
  depthwiseConv2d,
  dropout,
  embedding,
  exponentialDecay,
  flatten,
  globalAveragePool2d,
  type Layer,
  layerNorm,
  lossNamed,
  lossNames,
  maxPool2d,
  type Optimizer,
  optimizerNamed,
  optimizerNames,
  RandomStream,
  rescale,
  residual,
  type Shape,
  sequential,
  sgd,
} from "chainrule";
import { Recorder, type WeightDescription } from "chainrule/explain";
import { expect, test } from "vitest";

const WEIGHTS = Number(process.env.CHAINRULE_CAMPAIGN ?? 60);
const OUTPUTS = 3;
const ROWS = 24;
const BATCH = 8;

interface Form {
  readonly input: Shape;
  readonly layers: (activation: string) => Layer[];
  /** Whole numbers below this as input. */
  readonly below?: number;
}

const FORMS: Readonly<Record<string, Form>> = {
  "one layer": { input: [6], layers: () => [] },
  "one hidden layer": { input: [6], layers: (a) => [dense(7, { activation: a })] },
  deep: { input: [5], layers: (a) => Array.from({ length: 5 }, () => dense(6, { activation: a })) },
  dropout: { input: [6], layers: (a) => [rescale(0.5), dense(9, { activation: a }), dropout(0.3), dense(6)] },
  "batch normalisation": {
    input: [6],
    layers: (a) => [dense(7, { bias: false }), batchNorm(), activation(a), dense(5), batchNorm()],
  },
  "layer normalisation": { input: [6], layers: (a) => [dense(7, { activation: a }), layerNorm()] },
  residual: {
    input: [6],
    layers: (a) => [residual([dense(6, { activation: a }), dense(6)]), residual([dense(6, { activation: a })])],
  },
  convolution: {
    input: [7, 6, 2],
    layers: (a) => [
      conv2d(4, 3, { activation: a, padding: "same" }),
      maxPool2d(2),
      depthwiseConv2d(2, { activation: a }),
      batchNorm(),
      conv2d(3, 1, { stride: 1 }),
      globalAveragePool2d(),
    ],
  },
  sequences: {
    input: [8, 2],
    layers: (a) => [conv1d(4, 3, { activation: a }), flatten(), dense(5, { activation: a })],
  },
  embedding: { input: [3], below: 9, layers: (a) => [embedding(9, 4), flatten(), dense(6, { activation: a })] },
};

/** Losses on probabilities need a net that gives some. */
const OUTPUT_ACTIVATIONS: Readonly<Record<string, string>> = {
  binaryCrossEntropyOnProbabilities: "sigmoid",
  klDivergence: "softmax",
  klDivergenceOnLogs: "logSoftmax",
};

/** Every optimiser with its usual settings, and with what all of them share. */
const OPTIMIZERS: readonly (() => Optimizer)[] = [
  ...optimizerNames().map((name) => () => optimizerNamed(name, { learningRate: 0.02 })),
  () => sgd({ learningRate: 0.05, momentum: 0.9, nesterov: true }),
  () => sgd({ learningRate: 0.1, globalClipNorm: 0.5 }),
  () => adam({ learningRate: exponentialDecay({ learningRate: 0.05, factor: 0.7 }), weightDecay: 0.01 }),
  () => adam({ learningRate: 0.01, clipNorm: 0.1, clipValue: 0.05 }),
];

function dataOf({ input, below }: Form, loss: string, stream: RandomStream) {
  const size = input.reduce((a, b) => a * b, 1);
  const x = Float32Array.from({ length: ROWS * size }, () => (below ? stream.integer(below) : stream.normal()));
  const labels = Array.from({ length: ROWS }, () => stream.integer(OUTPUTS));
  const no = /hinge/i.test(loss) ? -1 : 0;
  const isProbability = /entropy|kl/i.test(loss);
  const rows = labels.map((label) =>
    Array.from({ length: OUTPUTS }, (_, i) => (isProbability || no ? (i === label ? 1 : no) : stream.normal())),
  );
  return { x, y: lossNamed(loss).target === "classes" ? labels : rows };
}

interface Result {
  readonly title: string;
  readonly weight: WeightDescription;
  /** The largest |∂L/∂w| in the same parameter: what single precision is measured by. */
  readonly scale: number;
  /** The weight that the run left behind. */
  readonly after: number;
}

/** Trains one net for an epoch, then explains some of its weights at the last step. */
async function resultsOf(number: number, weights: number): Promise<Result[]> {
  const pick = <T>(list: readonly T[], stride: number): T => list[Math.floor(number * stride) % list.length];
  const formName = pick(Object.keys(FORMS), 1);
  const form = FORMS[formName];
  const activationName = pick(
    activationNames().filter((name) => name !== "linear"),
    1,
  );
  const loss = pick(lossNames(), 1);
  const optimizer = pick(OPTIMIZERS, 1)();
  const stream = new RandomStream(number, "campaign");
  const model = sequential({ input: form.input, seed: number }, [
    ...form.layers(activationName),
    dense(OUTPUTS, { activation: OUTPUT_ACTIVATIONS[loss] ?? "linear" }),
  ]);
  const recorder = new Recorder();
  await model.fit(dataOf(form, loss, stream), { loss, optimizer, epochs: 1, batchSize: BATCH, observer: recorder });
  const step = await recorder.explain(recorder.steps);
  const trainable = model.network.parameters.filter(({ trainable }) => trainable);
  const results = Array.from({ length: weights }, (): Result => {
    const { name, node } = trainable[stream.integer(trainable.length)];
    const index = node.shape.map((n) => stream.integer(n));
    const flat = index.reduce((place, n, axis) => place * node.shape[axis] + n, 0);
    const scale = Math.max(...step.opened.engine.gradients.get(name)!.map(Math.abs));
    return {
      title: `${formName}, ${activationName}, ${loss}, ${optimizer.name}: ${name}[${index}]`,
      weight: step.weight(name, index, { terms: 1000 }),
      scale,
      after: model.weight(name)[flat],
    };
  });
  recorder.close();
  model.close();
  return results;
}

/** What is wrong with one result, in words; nothing, if all is well. */
function faultsOf({ weight, scale, after }: Result): string[] {
  const { chain, finiteDifference, engine, update } = weight;
  const { gradient, total, terms, rest } = chain;
  const faults: string[] = [];
  const check = (holds: boolean, message: string): void => void (holds || faults.push(message));
  // Single precision: some roundings of what is added up, or of the largest gradient beside it.
  const size = Math.max(
    scale,
    terms.reduce((s, { product }) => s + Math.abs(product), 0),
  );
  check(Math.abs(engine!.gradient - gradient) <= 5e-5 * size + 1e-9, `engine ${engine!.gradient}, shown ${gradient}`);
  check(Math.abs(total - gradient) <= 1e-6 * Math.abs(gradient) + 1e-15, `sum ${total}, shown ${gradient}`);
  const products = terms.map(({ factors }) => factors.reduce((product, { value }) => product * value, 1));
  const sum = products.reduce((a, b) => a + b, 0) + rest.sum;
  check(Math.abs(sum - gradient) <= 1e-6 * Math.abs(gradient) + 1e-15, `products ${sum}, shown ${gradient}`);
  check(finiteDifference.agrees, `finite difference ${finiteDifference.value}, shown ${gradient}`);
  const change = Math.abs(update!.after - update!.before);
  check(
    Math.abs(update!.after - after) <= 1e-6 * (Math.abs(after) + change) + 1e-8,
    `after the step ${after}, shown ${update!.after}`,
  );
  return faults;
}

test(`${WEIGHTS} random weights over ten kinds of nets`, { timeout: 600_000 }, async () => {
  const nets = Math.max(20, Math.ceil(WEIGHTS / 10));
  const each = Math.ceil(WEIGHTS / nets);
  const faults: string[] = [];
  let count = 0;
  for (let number = 0; number < nets; number++) {
    for (const result of await resultsOf(number, each)) {
      count++;
      faults.push(...faultsOf(result).map((fault) => `${result.title}: ${fault}`));
    }
  }
  expect(faults).toEqual([]);
  expect(count).toBeGreaterThanOrEqual(WEIGHTS);
});
