/** Metrics by name. One that is a mean over samples is computed inside the plan, with the loss, without another pass. */
import { ArgumentError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { sizeOf } from "../graph/shape.ts";
import type { Loss } from "../nn/losses.ts";
import { abs, argmax, equal, greater, mean, mul, reshape, sub } from "../ops/index.ts";

export interface Metric {
  /** The network's output [B, …] and the target ([B] of int, or [B, …]) → [B]; the metric is the mean. */
  perSample(output: Node, target: Node, loss: Loss): Node;
}

const flat = (node: Node): Node => reshape(node, [node.shape[0], sizeOf(node.shape.slice(1))]);

const METRICS = new Map<string, Metric>(
  Object.entries({
    accuracy: {
      perSample: (output, target, { threshold = 0.5 }) => {
        if (target.dtype === "int") return equal(argmax(output), target);
        if (sizeOf(output.shape.slice(1)) === 1)
          return mean(equal(greater(flat(output), threshold), greater(flat(target), 0.5)), 1);
        return equal(argmax(output), argmax(target));
      },
    },
    meanAbsoluteError: { perSample: (output, target) => mean(abs(sub(flat(output), flat(target))), 1) },
    meanSquaredError: {
      perSample: (output, target) => {
        const d = sub(flat(output), flat(target));
        return mean(mul(d, d), 1);
      },
    },
  } satisfies Record<string, Metric>),
);

export const metricNames = (): string[] => [...METRICS.keys()];

/** Makes a metric of your own known by name. */
export function defineMetric(name: string, metric: Metric): void {
  METRICS.set(name, metric);
}

export function metricNamed(name: string): Metric {
  const found = METRICS.get(name);
  if (found) return found;
  throw new ArgumentError(`There is no metric called "${name}". Choose one of ${metricNames().join(", ")}.`);
}
