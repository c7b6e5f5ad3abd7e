/**
 * Signs that a network does not learn as it could, each with what to try: dead units, saturated activations, vanishing
 * and exploding gradients, and data that make them likely. One batch goes through the training graph, in the engine;
 * nothing is changed.
 */
import type { Executable } from "../backends/backend.ts";
import type { Node } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { sizeOf } from "../graph/shape.ts";
import { activationRange } from "../nn/activations.ts";
import { layerKind } from "../nn/layer.ts";
import { type LossOption, lossAfter, lossOf, takesLogits } from "../nn/losses.ts";
import { activationOf, type NamedLayer, type Network } from "../nn/network.ts";
import { abs, add, greater, less, max, mean, mul, sqrt } from "../ops/index.ts";
import { sgd } from "../optim/index.ts";
import { makePlan } from "../plan/plan.ts";
import type { Data, Model } from "./model.ts";
import { forwardBatch, givenBatch, optimizerStates, trainingGraph } from "./program.ts";
import { takeExamples } from "./rows.ts";
import { type Examples, objectiveOf } from "./trainer.ts";

/** What a warning is about. */
export type WarningKind =
  | "constantFeature"
  | "unscaledInput"
  | "deadUnits"
  | "saturatedActivation"
  | "vanishingGradient"
  | "explodingGradient"
  | "doubleActivation"
  | "notLearning";

/** Something that keeps a network from learning as it could. */
export interface Warning {
  readonly kind: WarningKind;
  /** The layer, the parameter or the columns it is about. */
  readonly where: string;
  /** What was seen, and what to try. */
  readonly message: string;
}

/** Fewer rows would not tell a unit that never fires from one that seldom does. */
const LEAST_ROWS = 32;
/** From this share on units that never fire are worth a word; some always are, in networks that learn well too. */
const DEAD_SHARE = 0.5;
/** From this share on values at an end of the activation's range are. */
const SATURATED_SHARE = 0.5;
/** How much of the range counts as its end. */
const MARGIN = 0.01;
/** A gradient so much smaller than another layer's has vanished. */
const VANISHED = 1e-4;
/** The length of all gradients together above which a step is likely to do harm. */
const EXPLODED = 1e3;
/** Larger inputs are called unscaled. */
const LARGE_INPUT = 30;

const listed = (names: readonly string[]): string =>
  names.length <= 5 ? names.join(", ") : `${names.slice(0, 5).join(", ")} and ${names.length - 5} more`;

const percent = (share: number): string => `${Math.round(100 * share)} %`;

/** What can be seen in the data alone. */
export function checkExamples(network: Network, { x }: Examples): Warning[] {
  const scaled = network.layers[0] && layerKind(network.layers[0].kind).scales === true;
  const width = sizeOf(network.inputShape);
  const constant: number[] = [];
  let [largest, column] = [0, 0];
  // Row by row, as they lie in memory, since going down the columns misses every cache.
  const [low, high] = [x.values.slice(0, width), x.values.slice(0, width)];
  for (let i = 0, c = 0; i < x.values.length; i++, c = c + 1 === width ? 0 : c + 1) {
    const value = x.values[i];
    if (value < low[c]) low[c] = value;
    else if (value > high[c]) high[c] = value;
  }
  for (let c = 0; c < width; c++) {
    if (low[c] === high[c] && x.count > 1) constant.push(c + 1);
    const size = Math.max(Math.abs(low[c]), Math.abs(high[c]));
    if (size > largest) [largest, column] = [size, c + 1];
  }
  const warnings: Warning[] = [];
  // Pixels at the border of an image are often constant, and rightly so.
  if (constant.length > 0 && network.inputShape.length === 1 && constant.length < width / 2) {
    warnings.push({
      kind: "constantFeature",
      where: `column ${listed(constant.map(String))}`,
      message: `Column ${listed(constant.map(String))} of x has the same value in all ${x.count} rows, so nothing can be learnt from it. Leave it out, or check how it was read.`,
    });
  }
  if (largest > LARGE_INPUT && !scaled) {
    const whole = network.inputShape.length > 1;
    warnings.push({
      kind: "unscaledInput",
      where: whole ? "x" : `column ${column}`,
      message: `x reaches ${Number(largest.toPrecision(4))}${whole ? "" : ` (column ${column})`}; networks learn well from numbers of about −1 to 1. Put normalize(statistics) or rescale(1/${Number(largest.toPrecision(3))}) first.`,
    });
  }
  return warnings;
}

/** One number to look at, and what to say of it. */
interface Probe {
  readonly node: Node;
  judge(values: AnyArray): Warning | undefined;
}

/** Looks at a model with a batch of its data, as often as asked. */
export class HealthCheck {
  readonly #model: Model;
  readonly #executable: Executable;
  readonly #inputs: readonly AnyArray[];
  readonly #probes: readonly Probe[];
  readonly #parameters: readonly string[];
  readonly #examples: Examples;
  readonly #loss: LossOption;

  constructor(model: Model, examples: Examples, loss: LossOption) {
    this.#model = model;
    this.#loss = loss;
    this.#examples = examples;
    const rows = Math.min(Math.max(LEAST_ROWS, forwardBatch(model.network)), examples.x.count);
    const some = takeExamples(
      examples,
      Array.from({ length: rows }, (_, i) => Math.floor((i * examples.x.count) / rows)),
    );
    const { x, y, weights } = some;
    const form = { targets: y.kind, pixels: x.values instanceof Uint8Array, weighted: weights !== undefined };
    const { network } = model;
    const optimizer = sgd();
    const states = optimizerStates(network, optimizer);
    const graph = trainingGraph(
      network,
      objectiveOf(network, loss, []),
      optimizer,
      states,
      givenBatch(network, rows, form),
    );
    this.#probes = network.allLayers.flatMap((layer) => activationProbes(layer, graph.named, graph.output));
    // Gradients of kernels and the like: those of biases say nothing more.
    const kernels = states
      .map(({ parameter }, i) => ({ name: parameter.name, gradient: graph.gradients[i], shape: parameter.node.shape }))
      .filter(({ shape }) => shape.length > 1);
    this.#parameters = kernels.map(({ name }) => name);
    const sizes = kernels.map(({ gradient }) => sqrt(mean(mul(gradient, gradient))));
    const lengths = graph.gradients.map((gradient) => mul(sizeOf(gradient.shape), mean(mul(gradient, gradient))));
    const total = lengths.length > 0 ? sqrt(lengths.reduce((a, b) => add(a, b))) : graph.loss;
    this.#inputs = [x.values, y.values, ...(weights ? [weights] : []), Int32Array.of(0)];
    this.#executable = model.session.compile(
      makePlan({
        inputs: [...graph.inputs.batch, graph.inputs.step],
        outputs: [graph.loss, total, ...this.#probes.map(({ node }) => node), ...sizes],
      }),
    );
  }

  /** @param trained whether the loss should by now be better than that of a constant answer */
  async run(trained: boolean): Promise<Warning[]> {
    const { outputs } = await this.#executable.run(this.#inputs);
    const [[loss], [total], ...rest] = outputs;
    const warnings = this.#probes.map(({ judge }, i) => judge(rest[i]));
    const sizes = this.#parameters.map((name, i) => ({ name, size: rest[this.#probes.length + i][0] }));
    return [
      ...warnings,
      ...(sizes.length > 0 ? judgeGradients(sizes, total) : []),
      doubleActivation(this.#model.network, this.#loss),
      trained ? notLearning(this.#examples, this.#loss, loss) : undefined,
    ].filter((warning) => warning !== undefined);
  }

  free(): void {
    this.#executable.free();
  }
}

/** What to look at in a layer that has an activation; not in the last one, whose values are answers. */
function activationProbes(layer: NamedLayer, named: ReadonlyMap<string, Node>, output: Node): Probe[] {
  const { name } = layer;
  const a = named.get(`${name}.a`);
  if (!a || a === output) return [];
  const units = a.shape[a.shape.length - 1];
  const largest = max(abs(a), [...a.shape.keys()].slice(0, -1)); // [units]
  const probes: Probe[] = [
    {
      node: largest,
      judge: (values) => {
        const dead = Array.from(values.keys()).filter((unit) => values[unit] === 0);
        if (dead.length < DEAD_SHARE * units) return undefined;
        return {
          kind: "deadUnits",
          where: name,
          message: `${dead.length} of the ${units} units of ${name} give 0 for all ${a.shape[0]} rows looked at (${listed(dead.map(String))}), so they learn nothing. Try a smaller learning rate, init "he", a bias of 0.1, or leakyRelu.`,
        };
      },
    },
  ];
  const range = activationRange(activationOf(layer));
  if (!range) return probes;
  const [low, high] = range;
  const margin = MARGIN * (high - low);
  const atEnd = add(less(a, low + margin), greater(a, high - margin));
  probes.push({
    node: mean(atEnd),
    judge: ([share]) =>
      share < SATURATED_SHARE
        ? undefined
        : {
            kind: "saturatedActivation",
            where: name,
            message: `${percent(share)} of the values of ${name} lie at the ends of ${activationOf(layer)}'s range, where its derivative is almost 0. Scale the input, begin with smaller weights (init "glorotUniform"), put batchNorm before the activation, or use relu.`,
          },
  });
  return probes;
}

function judgeGradients(sizes: readonly { name: string; size: number }[], total: number): Warning[] {
  if (!(total <= EXPLODED)) {
    return [
      {
        kind: "explodingGradient",
        where: sizes.reduce((so, next) => (next.size > so.size ? next : so)).name,
        message: `All gradients together have length ${Number(total.toPrecision(3))}; steps that large overshoot. Scale inputs and targets, clip (globalClipNorm: 1), begin with smaller weights, or lower the learning rate.`,
      },
    ];
  }
  const largest = Math.max(...sizes.map(({ size }) => size));
  const vanished = sizes.filter(({ size }) => size < VANISHED * largest).map(({ name }) => name);
  if (vanished.length === 0) return [];
  return [
    {
      kind: "vanishingGradient",
      where: vanished[0],
      message: `The gradient of ${listed(vanished)} is less than a ten-thousandth of another layer's, so these weights hardly move. Use relu (with init "he") instead of sigmoid or tanh, batchNorm, residual connections, or fewer layers.`,
    },
  ];
}

/** A loss on logits after an activation that makes probabilities, another than its own. */
function doubleActivation(network: Network, loss: LossOption): Warning | undefined {
  const activation = network.outputOp;
  const makesProbabilities = activation === "softmax" || activationRange(activation)?.[0] === 0;
  if (!makesProbabilities || !takesLogits(lossAfter(activation, loss))) return undefined;
  const { name } = network.allLayers.at(-1)!;
  return {
    kind: "doubleActivation",
    where: name,
    message: `${name} ends in ${activation}, but ${lossOf(loss).name ?? "this loss"} takes the sums before it (logits) and does that itself, so the network sees it twice. Leave the last activation out; classify() gives probabilities all the same.`,
  };
}

/** The loss of the best answer that is the same for every row, where that is known. */
function constantLoss({ x, y }: Examples, loss: LossOption): number | undefined {
  const { name } = lossOf(loss);
  const width = y.values.length / x.count;
  const entropy = (p: number): number => (p > 0 ? -p * Math.log(p) : 0);
  if (y.kind === "classes") {
    const counts = new Map<number, number>();
    for (const label of y.values) counts.set(label, (counts.get(label) ?? 0) + 1);
    return [...counts.values()].reduce((sum, n) => sum + entropy(n / x.count), 0);
  }
  let [variance, bits, classes] = [0, 0, 0];
  for (let c = 0; c < width; c++) {
    let [sum, squares] = [0, 0];
    for (let i = c; i < y.values.length; i += width) [sum, squares] = [sum + y.values[i], squares + y.values[i] ** 2];
    const average = sum / x.count;
    variance += squares / x.count - average ** 2;
    bits += entropy(average) + entropy(1 - average);
    classes += entropy(average);
  }
  const known: Readonly<Record<string, number>> = {
    meanSquaredError: variance / width,
    halfSquaredError: variance / 2,
    binaryCrossEntropy: bits / width,
    binaryCrossEntropyOnProbabilities: bits / width,
    crossEntropy: classes,
  };
  return name !== undefined && Object.hasOwn(known, name) ? known[name] : undefined;
}

function notLearning(examples: Examples, loss: LossOption, now: number): Warning | undefined {
  const best = examples.weights ? undefined : constantLoss(examples, loss);
  if (best === undefined || best < 1e-6 || now < 0.95 * best) return undefined;
  return {
    kind: "notLearning",
    where: "loss",
    message: `The loss is ${Number(now.toPrecision(4))}; always giving the same answer would reach ${Number(best.toPrecision(4))}. Check that the rows of x and y belong together, try another learning rate (findLearningRate), or a larger network.`,
  };
}

/** Passes warnings on, each once. */
export function warnOnce(tell: (warning: Warning) => void): (warnings: readonly Warning[]) => void {
  const told = new Set<string>();
  return (warnings) => {
    for (const warning of warnings) {
      const key = `${warning.kind} ${warning.where}`;
      if (!told.has(key)) tell(warning);
      told.add(key);
    }
  };
}

/**
 * Looks for what keeps a model from learning, with up to 256 rows of the data; an empty list means nothing was found.
 *
 * @example
 * for (const { message } of await health(model, data, { loss: "crossEntropy" })) console.warn(message);
 */
export async function health(
  model: Model,
  data: Data,
  { loss = model.trainedLoss() }: { readonly loss?: LossOption } = {},
): Promise<Warning[]> {
  const examples = model.examples(data, loss);
  const check = new HealthCheck(model, examples, loss);
  try {
    return [...checkExamples(model.network, examples), ...(await check.run(model.details.loss !== undefined))];
  } finally {
    check.free();
  }
}
