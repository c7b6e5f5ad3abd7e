/**
 * Loss functions by name. Each gives one number per sample; the batch's loss is their mean, so that a batch of any size
 * pulls on the weights alike.
 */
import { ArgumentError, ShapeError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { sameShape, showShape } from "../graph/shape.ts";
import {
  abs,
  add,
  exp,
  log,
  log1p,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  oneHot,
  softmaxCrossEntropy,
  sub,
} from "../ops/index.ts";

/** What a loss expects: class numbers (or their one-hot rows), or numbers of the output's own shape. */
export type TargetKind = "classes" | "values";

export interface Loss {
  readonly target: TargetKind;
  /** With one output per sample: from where on it means yes. */
  readonly threshold?: number;
  /** The output of the network [B, …] and the target → [B]. */
  perSample(output: Node, target: Node): Node;
}

const sameShapes = (name: string, output: Node, target: Node): void => {
  if (!sameShape(output.shape, target.shape)) {
    throw new ShapeError(
      `${name}: the network gives ${showShape(output.shape.slice(1))} per sample, but the target has ${showShape(target.shape.slice(1))}. Make the last layer as wide as the target.`,
    );
  }
};

/** A loss of each pair of numbers, averaged over the sample's own axes. */
const elementwiseLoss = (name: string, loss: (y: Node, t: Node) => Node, threshold = 0.5): Loss => ({
  target: "values",
  threshold,
  perSample: (output, target) => {
    sameShapes(name, output, target);
    const each = loss(output, target);
    return each.shape.length === 1 ? each : mean(each, [...each.shape.keys()].slice(1));
  },
});

const LOSSES = new Map<string, Loss>(
  Object.entries({
    meanSquaredError: elementwiseLoss("meanSquaredError", (y, t) => mul(sub(y, t), sub(y, t))),
    meanAbsoluteError: elementwiseLoss("meanAbsoluteError", (y, t) => abs(sub(y, t))),
    /** On logits z: max(z, 0) − z t + ln(1 + e^(−|z|)), which never overflows. */
    binaryCrossEntropy: elementwiseLoss(
      "binaryCrossEntropy",
      (z, t) => add(sub(maximum(z, 0), mul(z, t)), log1p(exp(neg(abs(z))))),
      0,
    ),
    /** On probabilities, kept 1e-7 away from 0 and 1. */
    binaryCrossEntropyOnProbabilities: elementwiseLoss("binaryCrossEntropyOnProbabilities", (p, t) => {
      const q = minimum(maximum(p, 1e-7), 1 - 1e-7);
      return neg(add(mul(t, log(q)), mul(sub(1, t), log(sub(1, q)))));
    }),
    /** On logits [B, C] and class numbers [B], or rows of probabilities [B, C]. */
    crossEntropy: {
      target: "classes",
      perSample: (z, target) => {
        if (z.shape.length !== 2 || z.shape[1] < 2) {
          throw new ShapeError(
            `crossEntropy needs a network that gives one logit per class, at least two; it gives ${showShape(z.shape.slice(1))}. End it with dense(number of classes), or use binaryCrossEntropy with dense(1).`,
          );
        }
        return softmaxCrossEntropy(z, target.dtype === "int" ? oneHot(target, z.shape[1]) : target);
      },
    },
  } satisfies Record<string, Loss>),
);

const ALIASES: Readonly<Record<string, string>> = { mse: "meanSquaredError", mae: "meanAbsoluteError" };

export const lossNames = (): string[] => [...LOSSES.keys()];

/** Makes a loss of your own known by name. */
export function defineLoss(name: string, loss: Loss): void {
  LOSSES.set(name, loss);
}

export function lossNamed(name: string): Loss {
  const found = LOSSES.get(Object.hasOwn(ALIASES, name) ? ALIASES[name] : name);
  if (found) return found;
  throw new ArgumentError(
    `There is no loss called "${name}". Choose one of ${lossNames().join(", ")}, or make your own known with defineLoss.`,
  );
}
