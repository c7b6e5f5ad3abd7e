/**
 * Loss functions. Each gives one number per sample; the batch's loss is their mean, so that a batch of any size pulls on
 * the weights alike. A loss is a name and options, plain data, so that the model file can keep it.
 */
import {
  ABOVE_0,
  BELOW_1,
  check,
  checkEntries,
  checkNumbers,
  checkOptionNames,
  FROM_0,
  isObject,
  type Rule,
  readOptions,
  unknownName,
} from "../checks.ts";
import { ShapeError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { checkNode } from "../graph/op.ts";
import { sameShape, showShape } from "../graph/shape.ts";
import {
  abs,
  add,
  div,
  equal,
  exp,
  less,
  log,
  log1p,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  oneHot,
  reshape,
  select,
  softmaxCrossEntropy,
  sqrt,
  sub,
  sum,
} from "../ops/index.ts";

/** What a loss expects: class numbers (or their one-hot rows), or numbers of the output's own shape. */
export type TargetKind = "classes" | "values";

/** A loss: one number per sample, of the network's output and the target. */
export interface Loss {
  /** The name under which it can be had again, and its options as plain JSON. */
  readonly name?: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly target: TargetKind;
  /** With one output per sample: from where on it means yes. */
  readonly threshold?: number;
  /** Set where each output is a yes or no of its own, so that a sample may have several labels at once. */
  readonly independent?: boolean;
  /** The activation that it does itself, as it takes what comes before it: sums (logits). */
  readonly activation?: "softmax" | "sigmoid";
  /** Set where the network gives what that activation makes, probabilities, nevertheless. */
  readonly onProbabilities?: boolean;
  /** The output of the network [B, …] and the target → [B]. */
  perSample(output: Node, target: Node): Node;
}

/** A loss as an option: its name, a loss with options such as `huber({ delta: 0.5 })`, or a function of one's own. */
export type LossOption = string | Loss | ((output: Node, target: Node) => Node);

/** The loss of one output of several. */
export interface OutputLoss {
  readonly loss: LossOption;
  /** What it is multiplied by in the whole loss; 1 unless said. */
  readonly weight?: number;
}

/** A loss; of a network whose outputs have names, one for each. */
export type LossesOption = LossOption | Readonly<Record<string, LossOption | OutputLoss>>;

const LOSSES = new Map<string, (options?: never) => Loss>();

/**
 * Makes a loss of this library known by its name: with its options' usual values and their rules, what it is of each
 * sample, and what else there is to say of it.
 */
function makeLoss<O extends object>(
  name: string,
  usual: Required<O>,
  rules: { readonly [K in keyof O]-?: Rule },
  perSample: (options: Required<O>) => Loss["perSample"],
  about: Partial<Loss> = {},
): (options?: O) => Loss {
  const make = (options = {} as O): Loss => ({
    name,
    options: { ...(options as object) },
    target: "values",
    ...about,
    perSample: perSample(readOptions(name, options, usual, rules)),
  });
  LOSSES.set(name, make);
  return make;
}

/** What a loss of pairs of numbers is of a sample: combined over the sample's own axes. */
const ofPairs =
  (loss: (y: Node, t: Node) => Node, combine = mean): Loss["perSample"] =>
  (output, target) => {
    if (!sameShape(output.shape, target.shape)) {
      throw new ShapeError(
        `The network gives ${showShape(output.shape.slice(1))} per sample, but the target has ${showShape(target.shape.slice(1))}. Make the last layer as wide as the target.`,
      );
    }
    const each = loss(output, target);
    return each.shape.length === 1 ? each : combine(each, [...each.shape.keys()].slice(1));
  };

/** A loss of pairs without options. */
const elementwiseLoss = (
  name: string,
  loss: (y: Node, t: Node) => Node,
  combine?: typeof mean,
  about?: Partial<Loss>,
): ((options?: Readonly<Record<string, never>>) => Loss) => makeLoss(name, {}, {}, () => ofPairs(loss, combine), about);

const square = (x: Node): Node => mul(x, x);

/** (y − t)², averaged over a sample's outputs. */
export const meanSquaredError = elementwiseLoss("meanSquaredError", (y, t) => square(sub(y, t)));

/** ½ Σ (y − t)² over a sample's outputs, the form whose derivative is y − t. */
export const halfSquaredError = elementwiseLoss("halfSquaredError", (y, t) => mul(0.5, square(sub(y, t))), sum);

/** |y − t|, averaged over a sample's outputs. */
export const meanAbsoluteError = elementwiseLoss("meanAbsoluteError", (y, t) => abs(sub(y, t)));

/**
 * Half the square of small errors d, linear in large ones: d²/2 where |d| ≤ δ, else δ (|d| − δ/2) (Huber, 1964); δ is 1
 * unless said. Written as c (|d| − c/2) with c = min(|d|, δ).
 *
 * @example
 * const run = model.fit(data, { loss: huber({ delta: 0.5 }) });
 */
export const huber = makeLoss<{ delta?: number }>("huber", { delta: 1 }, { delta: ABOVE_0 }, ({ delta }) =>
  ofPairs((y, t) => {
    const d = abs(sub(y, t));
    const c = minimum(d, delta);
    return mul(c, sub(d, mul(0.5, c)));
  }),
);

/** Options of the cross-entropies. */
export interface SmoothingOptions {
  /** How much of the target's certainty is spread over all classes, ε in (1 − ε) t + ε / classes; 0 unless said. */
  readonly labelSmoothing?: number;
}

const smoothed = (name: string, perSample: (epsilon: number) => Loss["perSample"], about?: Partial<Loss>) =>
  makeLoss<SmoothingOptions>(
    name,
    { labelSmoothing: 0 },
    { labelSmoothing: BELOW_1 },
    ({ labelSmoothing }) => perSample(labelSmoothing),
    about,
  );

/** (1 − ε) t + ε / classes (Szegedy et al., 2016). */
const smooth = (target: Node, epsilon: number, classes: number): Node =>
  epsilon === 0 ? target : add(mul(target, 1 - epsilon), epsilon / classes);

/**
 * −t ln p − (1 − t) ln(1 − p) of p = σ(z), on logits z: max(z, 0) − z t + ln(1 + e^(−|z|)), which never overflows.
 * Targets from 0 to 1. Of a network that ends in a sigmoid it takes the sums before it.
 */
export const binaryCrossEntropy = smoothed(
  "binaryCrossEntropy",
  (epsilon) => ofPairs((z, t) => add(sub(maximum(z, 0), mul(z, smooth(t, epsilon, 2))), log1p(exp(neg(abs(z)))))),
  { threshold: 0, activation: "sigmoid", independent: true },
);

/** Probabilities, kept 1e-7 away from 0 and 1, so that no logarithm is infinite. */
const inside = (p: Node): Node => minimum(maximum(p, 1e-7), 1 - 1e-7);

/** −t ln p − (1 − t) ln(1 − p) on probabilities p, kept 1e-7 away from 0 and 1. Prefer the form on logits. */
export const binaryCrossEntropyOnProbabilities = smoothed(
  "binaryCrossEntropyOnProbabilities",
  (epsilon) =>
    ofPairs((p, t) => {
      const [q, soft] = [inside(p), smooth(t, epsilon, 2)];
      return neg(add(mul(soft, log(q)), mul(sub(1, soft), log(sub(1, q)))));
    }),
  { independent: true },
);

/** 1 where a place has a class, 0 where it has none (−1). */
export const placesThatCount = (classes: Node): Node => sub(1, less(classes, 0));

/** The mean over the places of each sample [B, …] → [B], of those alone that count. */
export function meanOverPlaces(each: Node, counts?: Node): Node {
  const axes = [...each.shape.keys()].slice(1);
  return counts ? div(sum(mul(each, counts), axes), maximum(sum(counts, axes), 1)) : mean(each, axes);
}

/**
 * −Σ tᵢ ln pᵢ of p = softmax(z), on logits z [B, C] and class numbers [B] or rows of probabilities [B, C]. Of a network
 * that ends in softmax it takes the sums before it. Of logits for each place, [B, T, C] with classes [B, T], it is the mean over
 * a sample's places; those whose class is −1, such as padding, do not count.
 *
 * @example
 * const run = model.fit({ x, y }, { loss: crossEntropy({ labelSmoothing: 0.1 }) });
 */
export const crossEntropy = smoothed(
  "crossEntropy",
  (epsilon) => (z, target) => {
    const classes = z.shape[z.shape.length - 1];
    if (z.shape.length < 2 || classes < 2) {
      throw new ShapeError(
        `crossEntropy needs a network that gives one logit per class, at least two; it gives ${showShape(z.shape.slice(1))}. End it with dense(number of classes), or use binaryCrossEntropy with dense(1).`,
      );
    }
    const isClass = target.dtype === "int";
    const t = isClass ? oneHot(target, classes) : target;
    if (z.shape.length === 2) return softmaxCrossEntropy(z, smooth(t, epsilon, classes));
    if (!isClass) return meanOverPlaces(softmaxCrossEntropy(z, smooth(t, epsilon, classes)));
    const counts = placesThatCount(target);
    const each = softmaxCrossEntropy(z, mul(smooth(t, epsilon, classes), reshape(counts, [...counts.shape, 1])));
    return meanOverPlaces(each, counts);
  },
  { target: "classes", activation: "softmax" },
);

/** max(0, 1 − t y). A target of 0 counts as −1, as in Keras. */
const margin = (y: Node, t: Node): Node => maximum(0, sub(1, mul(sub(t, equal(t, 0)), y)));

/** max(0, 1 − t y), averaged over a sample's outputs; targets 1 and −1, or 1 and 0, which counts as −1. */
export const hinge = elementwiseLoss("hinge", margin, mean, { threshold: 0 });

/** max(0, 1 − t y)², averaged over a sample's outputs; targets 1 and −1, or 1 and 0, which counts as −1. */
export const squaredHinge = elementwiseLoss("squaredHinge", (y, t) => square(margin(y, t)), mean, { threshold: 0 });

/** t ln t, which is 0 for t = 0. */
const entropy = (t: Node): Node => mul(t, log(maximum(t, 1e-30)));

/** Σ t ln(t / p), how far probabilities p are from the target's (Kullback & Leibler, 1951). */
export const klDivergence = elementwiseLoss(
  "klDivergence",
  (p, t) => sub(entropy(t), mul(t, log(maximum(p, 1e-7)))),
  sum,
);

/** Σ t (ln t − y), on logarithms y of probabilities, as the activation `logSoftmax` gives them. */
export const klDivergenceOnLogs = elementwiseLoss("klDivergenceOnLogs", (y, t) => sub(entropy(t), mul(t, y)), sum);

/** 1 − cos(y, t): 0 where output and target point the same way, 2 where opposite. */
export const cosine = elementwiseLoss("cosine", (output, target) => {
  const [y, t] = [output, target].map((node) => reshape(node, [node.shape[0], -1]));
  // Lengths are kept above 1e-8, so that a vector of zeros is at right angles to everything.
  const length = (x: Node) => maximum(sqrt(maximum(sum(square(x), 1), 1e-30)), 1e-8);
  return sub(1, div(sum(mul(y, t), 1), mul(length(y), length(t))));
});

const ALIASES: Readonly<Record<string, string>> = {
  mse: "meanSquaredError",
  mae: "meanAbsoluteError",
  categoricalCrossEntropy: "crossEntropy",
  sparseCategoricalCrossEntropy: "crossEntropy",
};

/** The names of all losses, own ones included. */
export const lossNames = (): string[] => [...LOSSES.keys()];

/**
 * Makes a loss of your own known by name, so that a model trained with it can be evaluated after loading.
 *
 * @example
 * defineLoss("fourthPower", { target: "values", perSample: (y, t) => mean(mul(mul(sub(y, t), sub(y, t)), mul(sub(y, t), sub(y, t))), 1) });
 */
export function defineLoss(name: string, loss: Loss): void {
  LOSSES.set(name, () => ({ ...loss, name }));
}

/**
 * A loss by its name, with options as plain JSON.
 * @throws ArgumentError if there is none, with the names there are
 */
export function lossNamed(name: string, options: Readonly<Record<string, unknown>> = {}): Loss {
  const found = LOSSES.get(Object.hasOwn(ALIASES, name) ? ALIASES[name] : name);
  if (found) return found(options as never);
  throw unknownName(
    "loss",
    name,
    [...lossNames(), ...Object.keys(ALIASES)],
    ", or make your own known with defineLoss",
  );
}

/** Whether a loss takes sums (logits), which become probabilities only by softmax or sigmoid. */
export const takesLogits = ({ target, threshold = 0.5, onProbabilities = false }: Loss): boolean =>
  !onProbabilities && (target === "classes" || threshold === 0);

/** Whether a network that gives `width` numbers says with them which of several labels a sample has at once. */
export const hasLabels = ({ independent = false }: Loss, width: number): boolean => independent && width > 1;

/** A loss given in any form. */
export function lossOf(loss: LossOption): Loss {
  if (typeof loss === "string") return lossNamed(loss);
  if (typeof loss !== "function") return loss;
  // One of the library's own that was not called, such as `huber`, is meant with its usual options.
  const known = [...LOSSES.values()].find((maker) => (maker as unknown) === loss);
  return known?.() ?? { target: "values", perSample: loss };
}

/** The loss of each output of a network, by the outputs' names; undefined stands for the only one that has none. */
export function lossesOf(
  names: readonly (string | undefined)[],
  option: LossesOption,
): { readonly loss: Loss; readonly weight: number }[] {
  const known = names.filter((name) => name !== undefined);
  const isByName = isObject(option) && typeof option.perSample !== "function";
  if (known.length === 0) {
    check(
      !isByName,
      'The network has one output without a name, which takes one loss: a name such as "meanSquaredError", or what huber({ delta: 0.5 }) gives',
      option,
    );
    return [{ loss: lossOf(option as LossOption), weight: 1 }];
  }
  check(
    isByName,
    `A loss for each output is needed, such as { ${known.map((name) => `${name}: "meanSquaredError"`).join(", ")} }`,
    option,
  );
  const given = option as Readonly<Record<string, LossOption | OutputLoss>>;
  checkEntries("loss", "output", given, known);
  return known.map((name) => {
    const own = given[name];
    if (!(isObject(own) && "loss" in own)) return { loss: lossOf(own as LossOption), weight: 1 };
    checkOptionNames(`The loss of ${name}`, own, ["loss", "weight"]);
    const { loss, weight = 1 } = own as unknown as OutputLoss;
    checkNumbers(`The loss of ${name}: `, { weight }, FROM_0);
    return { loss: lossOf(loss), weight };
  });
}

/** The loss as it is for a network whose output comes from an activation: it does not apply its own a second time. */
export function lossAfter(activation: string, option: LossOption): Loss {
  const loss = lossOf(option);
  if (loss.activation !== activation) return loss;
  return {
    ...loss,
    threshold: 0.5,
    onProbabilities: true,
    perSample: (p, target) => {
      // The places of a sequence may be samples of their own, under another shape.
      const made = p.op.meaning.kind === "view" ? p.inputs[0] : p;
      return loss.perSample(made.op.name === activation ? reshape(made.inputs[0], p.shape) : p, target);
    },
  };
}

/**
 * What is measured of each sample of sequences with padding: the mean over the places that count, of what `perSample` gives for
 * each place as if it were a sample. Classes of −1 do not count either.
 * @param mask [B, T] of 1 and 0
 */
export function overPlaces(
  perSample: (output: Node, target: Node) => Node,
  output: Node,
  target: Node,
  mask: Node,
): Node {
  const [batch, length] = mask.shape;
  const apart = (x: Node): Node => reshape(x, [batch * length, ...x.shape.slice(2)]);
  const each = reshape(perSample(apart(output), apart(target)), [batch, length]);
  const counts = target.dtype === "int" ? mul(mask, placesThatCount(target)) : mask;
  return meanOverPlaces(select(counts, each, 0), counts);
}

/** The loss of each sample, checked to be one number each. */
export function lossPerSample(loss: Loss, output: Node, target: Node): Node {
  const who = `The loss ${loss.name ?? "given as a function"}`;
  const each = loss.perSample(output, target);
  checkNode(who, each);
  const wanted = output.shape.slice(0, 1);
  if (sameShape(each.shape, wanted)) return each;
  throw new ShapeError(
    `${who} must give one number per sample, of shape ${showShape(wanted)}; it gives ${showShape(each.shape)}. Reduce all axes but the first with mean or sum.`,
  );
}
