/**
 * Signs that a network does not learn as it could, each with what to try: dead units, saturated activations, vanishing
 * and exploding gradients, and data that make them likely. One batch goes through the training graph, in the engine;
 * nothing is changed.
 */

import { input } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { type Shape, sizeOf } from "../graph/shape.ts";
import { activationRange } from "../nn/activations.ts";
import { layerKind } from "../nn/layer.ts";
import { type Loss, type LossesOption, lossAfter, lossesOf, takesLogits } from "../nn/losses.ts";
import { activationOf, arrayName, type NamedLayer, type Network, withInner } from "../nn/network.ts";
import { abs, add, gradientsOf, greater, less, max, mean, mul, sqrt } from "../ops/index.ts";
import { makePlan } from "../plan/plan.ts";
import { inWords, type Message, message, option } from "../wording.ts";
import type { Examples } from "./examples.ts";
import { arraysOf, takeExamples } from "./examples.ts";
import type { InferenceModel } from "./inference-model.ts";
import { metricNamed } from "./metrics.ts";
import { type MetricsOption, metricsOf } from "./objective.ts";
import type { Data, RowValues, Targets } from "./to-arrays.ts";
import { forwardBatch, givenStep, type TrainingGraph } from "./training-graph.ts";

/** What a warning is about. */
export type WarningKind =
  | "constantFeature"
  | "unscaledInput"
  | "unscaledTarget"
  | "unmeasuredMetric"
  | "damagedCheckpoint"
  | "deadUnits"
  | "saturatedActivation"
  | "vanishingGradient"
  | "explodingGradient"
  | "collapsedAttention"
  | "countedPadding"
  | "doubleActivation"
  | "notLearning";

/** Something that keeps a network from learning as it could. */
export interface Warning {
  readonly kind: WarningKind;
  /** The layer, the parameter or the columns it is about. */
  readonly where: string;
  /** What was seen, and what to try. */
  readonly message: string;
  /** The same with its options as data, for those who write them in another way. */
  readonly said: Message;
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
/** A gradient so much smaller than at another place of the sequence has vanished on the way there; so much larger, it has exploded. */
const VANISHED_IN_TIME = 1e-6;
const EXPLODED_IN_TIME = 1e4;
/** From this share of the places on it is worth a word. */
const LOST_SHARE = 0.5;
/** Attention of which so much goes to one place, whatever looks, has collapsed. */
const COLLAPSED = 0.95;
/** From this share of rows on that end in the same value, of different lengths, they are filled up. */
const FILLED_SHARE = 0.1;
/** Larger inputs are called unscaled. */
const LARGE_INPUT = 30;
/** Targets beyond this are. */
const LARGE_TARGET = 100;

const listed = (names: readonly (string | number)[]): string =>
  names.slice(0, 5).join(", ") + (names.length > 5 ? ` and ${names.length - 5} more` : "");

const rounded = (x: number, digits: number): number => Number(x.toPrecision(digits));

const warning = (kind: WarningKind, where: string, said: Message): Warning => ({
  kind,
  where,
  message: inWords(said),
  said,
});

/** What can be seen in the data alone. */
export function checkExamples(network: Network, { x, y, count }: Examples): Warning[] {
  return [
    ...network.inputs.flatMap((port, i) => {
      const takers = network.takersOf(i).map(({ kind }) => layerKind(kind));
      const scaled = takers.every(({ scales }) => scales);
      // Whole numbers that are looked up may well be the same in all rows, as the word that begins each.
      const isLookedUp = takers.every(({ check }) => check);
      return checkInput(arrayName("x", port), port.shape, x[i], count, { scaled, isLookedUp });
    }),
    ...network.outputs.flatMap((port, i) => {
      const scaled = layerKind(network.giverOf(i).kind).scales;
      return checkTargets(arrayName("y", port), y[i], scaled);
    }),
  ];
}

/** @param taken whether every layer that takes it brings it into range, or looks its numbers up */
function checkInput(
  what: string,
  shape: Shape,
  values: RowValues,
  count: number,
  { scaled, isLookedUp }: { readonly scaled: boolean; readonly isLookedUp: boolean },
): Warning[] {
  const width = sizeOf(shape);
  const isTable = shape.length === 1;
  // Row by row, as they lie in memory, since going down the columns misses every cache.
  const [low, high] = [values.slice(0, width), values.slice(0, width)];
  for (let row = 0; row < values.length; row += width) {
    for (let c = 0; c < width; c++) {
      const value = values[row + c];
      if (value < low[c]) low[c] = value;
      else if (value > high[c]) high[c] = value;
    }
  }
  const constant: number[] = [];
  let [largest, column] = [0, 0];
  for (let c = 0; c < width; c++) {
    if (low[c] === high[c] && count > 1) constant.push(c + 1);
    const size = Math.max(Math.abs(low[c]), Math.abs(high[c]));
    if (size > largest) [largest, column] = [size, c + 1];
  }
  const warnings: Warning[] = [];
  const place = (columns: string): string => (what === "x" ? columns : `${what}, ${columns}`);
  // Pixels at the border of an image are often constant, and rightly so.
  if (constant.length > 0 && isTable && !isLookedUp && constant.length < width / 2) {
    const where = `column ${listed(constant)}`;
    const message = `${what} has the same value in all ${count} rows of ${where}. Leave it out, or check how it was read.`;
    warnings.push(warning("constantFeature", place(where), message));
  }
  if (largest > LARGE_INPUT && !scaled) {
    const where = isTable ? place(`column ${column}`) : what;
    const message = `${what} reaches ${rounded(largest, 4)}${isTable ? ` (column ${column})` : ""}; networks learn well from about −1 to 1. Put normalize(statistics) or rescale(1/${rounded(largest, 3)}) first.`;
    warnings.push(warning("unscaledInput", where, message));
  }
  return warnings;
}

function checkTargets(what: string, { kind, values }: Targets, scaled: boolean | undefined): Warning[] {
  const size = kind === "values" ? values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) : 0;
  if (!(size > LARGE_TARGET) || scaled) return [];
  const message = `${what} reaches ${rounded(size, 4)}; a network that begins near 0 takes long to come there, and its gradients are as large. Train on (y − mean) / deviation, and turn predictions back.`;
  return [warning("unscaledTarget", what, message)];
}

/** Which metrics will not be seen, as they need the predictions of a whole data set, and there is none to measure. */
export function checkMeasured(network: Network, metrics: MetricsOption): Warning[] {
  const unseen = metricsOf(network, metrics)
    .flat()
    .filter((name) => "whole" in metricNamed(name));
  if (unseen.length === 0) return [];
  const said = message`${listed(unseen)} needs all predictions at once and is measured on validation data: give ${option("validation", 0.2)} to see it.`;
  return [warning("unmeasuredMetric", listed(unseen), said)];
}

/** One array to look at, and what to say of it. */
interface Probe {
  readonly node: Node;
  judge(values: AnyArray): Warning | undefined;
}

/** Looks at a model with a batch of its data, as often as asked. */
export function healthCheck(
  { network, session }: Pick<InferenceModel<unknown>, "network" | "session">,
  examples: Examples,
  loss: LossesOption,
) {
  const { count } = examples;
  const losses = lossesOf(
    network.outputs.map(({ name }) => name),
    loss,
  );
  const rows = Math.min(Math.max(LEAST_ROWS, forwardBatch(network)), count);
  const some = takeExamples(
    examples,
    Array.from({ length: rows }, (_, i) => Math.floor((i * count) / rows)),
  );
  const graph = givenStep(network, loss, some);
  const probes = [
    ...network.allLayers.flatMap((layer) => [
      ...activationProbes(layer, graph.named, graph.outputs),
      ...attentionProbes(layer, graph.named),
    ]),
    ...timeProbes(network, graph),
  ];
  const sizes = graph.gradients.map((gradient) => sqrt(mean(mul(gradient, gradient))));
  const parameters = network.parameters.filter(({ trainable }) => trainable);
  const executable = session.compile(
    makePlan({
      inputs: [...graph.inputs.batch, graph.inputs.step],
      outputs: [graph.loss, ...probes.map(({ node }) => node), ...sizes],
    }),
  );
  return {
    /** @param trained whether the loss should by now be better than that of a constant answer */
    async run(trained: boolean): Promise<Warning[]> {
      const { outputs } = await executable.run([...arraysOf(some), Int32Array.of(0)]);
      const [[now], ...rest] = outputs;
      const gradients = parameters.map(({ name, node }, i) => {
        const [size] = rest[probes.length + i];
        return { name, shape: node.shape, size };
      });
      return [
        ...probes.map(({ judge }, i) => judge(rest[i])),
        judgeGradients(gradients),
        ...losses.map(({ loss }, i) => doubleActivation(network, i, loss)),
        trained ? notLearning(examples, losses, now) : undefined,
      ].filter((warning) => warning !== undefined);
    },
    free: () => executable.free(),
  };
}

/** What to look at in a layer that has an activation; not in the last one, whose values are answers. */
function activationProbes(layer: NamedLayer, named: ReadonlyMap<string, Node>, outputs: readonly Node[]): Probe[] {
  const { name } = layer;
  const a = named.get(`${name}.a`);
  if (!a || outputs.includes(a)) return [];
  const largest: Probe = {
    node: max(abs(a), [...a.shape.keys()].slice(0, -1)), // [units]
    judge(values) {
      const dead = [...values.keys()].filter((unit) => values[unit] === 0);
      if (dead.length < DEAD_SHARE * values.length) return undefined;
      const said = message`${dead.length} of the ${values.length} units of ${name} give 0 for all ${a.shape[0]} rows (${listed(dead)}), so they learn nothing. Lower the learning rate, or use ${option("init", "he")}, a bias of 0.1, or leakyRelu.`;
      return warning("deadUnits", name, said);
    },
  };
  const range = activationRange(activationOf(layer));
  if (!range) return [largest];
  const [low, high] = range;
  const margin = MARGIN * (high - low);
  const atEnds: Probe = {
    node: mean(add(less(a, low + margin), greater(a, high - margin))),
    judge([share]) {
      if (share < SATURATED_SHARE) return undefined;
      const said = message`${Math.round(100 * share)} % of the values of ${name} lie at the ends of ${activationOf(layer)}'s range, where its derivative is almost 0. Scale the input, take ${option("init", "glorotUniform")}, batchNorm before it, or relu.`;
      return warning("saturatedActivation", name, said);
    },
  };
  return [largest, atEnds];
}

/** Whether all places look at one and the same, in some head. */
function attentionProbes({ name }: NamedLayer, named: ReadonlyMap<string, Node>): Probe[] {
  const weights = named.get(`${name}.weights`);
  // Of few places each has much by chance.
  if (weights?.shape.length !== 4 || weights.shape[3] < 4) return [];
  const [, heads, , length] = weights.shape;
  return [
    {
      node: mean(weights, [0, 2]), // [H, S]
      judge(values) {
        const collapsed = Array.from({ length: heads }, (_, head) => {
          const own = values.subarray(head * length, (head + 1) * length);
          return own.findIndex((share) => share > COLLAPSED);
        });
        const head = collapsed.findIndex((place) => place >= 0);
        if (head < 0) return undefined;
        const said = message`In head ${head + 1} of ${name} all places look at place ${collapsed[head] + 1} alone, so the head gives the same to all. Lower the learning rate, put layerNorm before it (${option("placement", "pre")} in transformerBlock), or take fewer heads.`;
        return warning("collapsedAttention", name, said);
      },
    },
  ];
}

/** How the gradient changes on its way back through time, in layers that go place by place. */
function timeProbes(network: Network, { loss, watched }: TrainingGraph): Probe[] {
  const gradients = gradientsOf(loss, [...watched.values()]);
  return [...watched.keys()].map((name, i) => {
    const gradient = gradients[i]; // [T, B, H]
    const { backwards = false } = network.allLayers.find((layer) => layer.name === name)!.config as {
      readonly backwards?: boolean;
    };
    return {
      node: sqrt(mean(mul(gradient, gradient), [1, 2])), // [T]
      judge: (values) => judgeInTime(name, backwards ? Array.from(values) : Array.from(values).reverse(), backwards),
    };
  });
}

/** @param sizes of the gradient at each place, in the order in which it goes: from the last turn of the layer to its first */
function judgeInTime(name: string, sizes: readonly number[], backwards: boolean): Warning | undefined {
  const place = (i: number): number => (backwards ? i + 1 : sizes.length - i);
  const largest = Math.max(...sizes);
  const begin = sizes.findIndex((size) => size > 0);
  if (begin < 0 || !Number.isFinite(largest)) return undefined;
  const exploded = sizes.findIndex((size, i) => i > begin && size > EXPLODED_IN_TIME * sizes[begin]);
  if (exploded >= 0) {
    const said = message`The gradient through ${name} grows on its way back in time: at place ${place(exploded)} it is ${EXPLODED_IN_TIME} times that at place ${place(begin)}. Clip (${option("globalClipNorm", 1)}), cut it off (${option("truncate", 50)}), or take lstm or gru.`;
    return warning("explodingGradient", name, said);
  }
  let lost = sizes.length;
  while (sizes[lost - 1] < VANISHED_IN_TIME * largest) lost--;
  if (sizes.length - lost < LOST_SHARE * sizes.length) return undefined;
  const [from, to] = backwards ? [place(lost), sizes.length] : [1, place(lost)];
  const said = message`The gradient through ${name} vanishes on its way back in time: at places ${from} to ${to} it is less than ${VANISHED_IN_TIME} of its largest, so what stands there teaches nothing. Take lstm with ${option("forgetBias", 3)}, gru, or attention.`;
  return warning("vanishingGradient", name, said);
}

/** Rows that seem to be filled up with one value, where each place counts in the loss. */
export function checkPadding(network: Network, { x, y, count }: Examples): Warning[] {
  const [port] = network.inputs;
  const [length] = port.shape;
  const answers = network.outputs.findIndex(({ shape }) => shape.length === 2 && shape[0] === length);
  if (network.inputs.length > 1 || answers < 0 || count < 2) return [];
  const given = network.inputs.map((each) => input("x", [1, ...each.shape]));
  if (network.apply(given, { training: false }).masks[answers]) return [];
  const width = sizeOf(port.shape);
  const ends = Array.from({ length: count }, (_, row) => endOf(x[0], row * width, width, width / length));
  const filled = ends.filter((end) => end < length - 1).length;
  const target = y[answers];
  // A class of −1 says that a place does not count.
  const isLeftOut = target.kind === "classes" && target.values.includes(-1);
  if (isLeftOut || filled < FILLED_SHARE * count || new Set(ends).size === 1) return [];
  const said = message`${filled} of ${count} rows end in several places of nothing but 0, which count in the loss as others do. If they are padding, say so: masking() first, ${option("maskZero", true)} for embedding, or classes of −1.`;
  return [warning("countedPadding", "x", said)];
}

/** After how many places a row has nothing but zeros. */
function endOf(values: RowValues, from: number, width: number, each: number): number {
  let end = width;
  while (end > 0 && values[from + end - 1] === 0) end--;
  return Math.ceil(end / each);
}

/** @param gradients the root of each one's mean square */
function judgeGradients(gradients: readonly { name: string; shape: Shape; size: number }[]): Warning | undefined {
  // Those of kernels and the like: those of biases say nothing more.
  const kernels = gradients.filter(({ shape }) => shape.length > 1);
  if (kernels.length === 0) return undefined;
  const largest = kernels.reduce((so, next) => (next.size > so.size ? next : so));
  const total = Math.hypot(...gradients.map(({ shape, size }) => size * Math.sqrt(sizeOf(shape))));
  if (!(total <= EXPLODED)) {
    const said = message`All gradients together have length ${rounded(total, 3)}; such steps overshoot. Scale inputs and targets, clip (${option("globalClipNorm", 1)}), or lower the learning rate.`;
    return warning("explodingGradient", largest.name, said);
  }
  const vanished = kernels.filter(({ size }) => size < VANISHED * largest.size).map(({ name }) => name);
  if (vanished.length === 0) return undefined;
  const said = message`The gradient of ${listed(vanished)} is less than ${VANISHED} of another layer's, so these weights hardly move. Use relu (with ${option("init", "he")}), batchNorm, residual, or fewer layers.`;
  return warning("vanishingGradient", vanished[0], said);
}

/** A loss on logits after an activation that makes probabilities, another than its own. */
function doubleActivation(network: Network, output: number, loss: Loss): Warning | undefined {
  const { op: activation } = network.outputs[output];
  const makesProbabilities = activation === "softmax" || activationRange(activation)?.[0] === 0;
  if (!makesProbabilities || !takesLogits(lossAfter(activation, loss))) return undefined;
  const last = network.giverOf(output);
  const { name } = last.layers.length > 0 ? withInner(last.layers).at(-1)! : last;
  const said = message`${name} ends in ${activation}, but ${loss.name ?? "this loss"} takes the sums before it (logits) and does that itself. Leave the last activation out; ${option("classify")} gives probabilities all the same.`;
  return warning("doubleActivation", name, said);
}

/** The loss of the best answer that is the same for every row, where that is known. */
function constantLoss({ kind, values }: Targets, count: number, { name }: Loss): number | undefined {
  const width = values.length / count;
  // Class numbers stand for one-hot rows, one for each place that counts.
  const rows = kind === "classes" ? values.reduce((sum, c) => sum + Number(c >= 0), 0) : count;
  const [sums, squares]: number[][] = [[], []];
  for (let i = 0; i < values.length; i++) {
    const [c, t] = kind === "classes" ? [values[i], 1] : [i % width, values[i]];
    if (c < 0) continue;
    sums[c] = (sums[c] ?? 0) + t;
    squares[c] = (squares[c] ?? 0) + t * t;
  }
  const entropy = (p: number): number => (p > 0 ? -p * Math.log(p) : 0);
  const total = (term: (mean: number, square: number) => number): number =>
    sums.reduce((all, sum, c) => all + term(sum / rows, squares[c] / rows), 0);
  const variance = total((mean, square) => square - mean ** 2);
  const bits = total((p) => entropy(p) + entropy(1 - p)) / width;
  return new Map<string | undefined, number>([
    ["meanSquaredError", variance / width],
    ["halfSquaredError", variance / 2],
    ["binaryCrossEntropy", bits],
    ["binaryCrossEntropyOnProbabilities", bits],
    ["crossEntropy", total(entropy)],
  ]).get(name);
}

function notLearning(
  { weights, y, count }: Examples,
  losses: ReturnType<typeof lossesOf>,
  now: number,
): Warning | undefined {
  if (weights) return undefined;
  // NaN where it is not known of one.
  const best = losses.reduce(
    (sum, { loss, weight }, i) => sum + weight * (constantLoss(y[i], count, loss) ?? Number.NaN),
    0,
  );
  if (!(best >= 1e-6) || now < 0.95 * best) return undefined;
  const said = message`The loss is ${rounded(now, 4)}; always giving the same answer would reach ${rounded(best, 4)}. Check that inputs and targets belong together, try another learning rate (${option("findLearningRate")}) or a larger network.`;
  return warning("notLearning", "loss", said);
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
  model: InferenceModel<unknown>,
  data: Data,
  { loss = model.trainedLoss() }: { readonly loss?: LossesOption } = {},
): Promise<Warning[]> {
  const examples = model.examples(data, loss);
  const check = healthCheck(model, examples, loss);
  try {
    return [
      ...checkExamples(model.network, examples),
      ...checkPadding(model.network, examples),
      ...(await check.run(model.details.loss !== undefined)),
    ];
  } finally {
    check.free();
  }
}
