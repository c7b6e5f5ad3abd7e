/**
 * What a network is trained for: the loss of each of its outputs and what is measured beside, as options, as nodes of a
 * graph, and as scores under their names. Outputs with names put these before: `label.loss`, `label.accuracy`.
 */
import { check, checkEntries, isObject } from "../checks.ts";
import { inScope, type Node } from "../graph/node.ts";
import { type Loss, type LossesOption, lossAfter, lossesOf, lossPerSample, overPlaces } from "../nn/losses.ts";
import type { Network } from "../nn/network.ts";
import { add, mul, reshape } from "../ops/index.ts";
import type { Examples } from "./examples.ts";
import { checkMetric, metricNamed, type SampleMetric, type WholeMetric } from "./metrics.ts";
import type { Scores } from "./scores.ts";

/** Names of metrics; of a network whose outputs have names, for each of those that are measured so. */
export type MetricsOption = readonly string[] | Readonly<Record<string, readonly string[]>>;

/** Something measured of one output. */
type Measured<M> = M & {
  /** `accuracy`, or `label.accuracy`. */
  readonly name: string;
  /** Without the output: `accuracy`. */
  readonly metric: string;
  /** The number of the output. */
  readonly output: number;
};

export interface Objective {
  /** Of each output. */
  readonly losses: readonly {
    readonly loss: Loss;
    readonly weight: number;
    /** Under which it is a score of its own: `label.loss`; the only one is the loss itself. */
    readonly name: string | undefined;
  }[];
  /** Those that the plan computes. */
  readonly metrics: readonly Measured<SampleMetric>[];
  /** Those that need all predictions at once; only evaluation has them. */
  readonly whole: readonly Measured<WholeMetric>[];
}

/** The names of each output's metrics. */
export function metricsOf({ outputs }: Network, option: MetricsOption): (readonly string[])[] {
  const isList = 'metrics are a list, such as ["accuracy"]';
  if (outputs[0].name === undefined) {
    check(Array.isArray(option), isList, option);
    return [option as readonly string[]];
  }
  const known = outputs.map(({ name }) => name!);
  const given = (Array.isArray(option) && option.length === 0 ? {} : option) as Readonly<
    Record<string, readonly string[]>
  >;
  check(isObject(given), `metrics are lists by the outputs' names, such as { ${known[0]}: ["accuracy"] }`, option);
  checkEntries("metrics", "output", { ...Object.fromEntries(known.map((name) => [name, []])), ...given }, known);
  for (const list of Object.values(given)) check(Array.isArray(list), isList, list);
  return known.map((name) => given[name] ?? []);
}

export function objectiveOf(network: Network, loss: LossesOption, metrics: MetricsOption): Objective {
  const { outputs } = network;
  const under = (output: number, name: string): string => {
    const own = outputs[output].name;
    return own === undefined ? name : `${own}.${name}`;
  };
  const measured = metricsOf(network, metrics).flatMap((names, output) =>
    names.map((name) => ({ ...metricNamed(name), name: under(output, name), metric: name, output })),
  );
  const losses = lossesOf(
    outputs.map(({ name }) => name),
    loss,
  );
  return {
    losses: losses.map(({ loss, weight }, i) => ({
      loss: lossAfter(outputs[i].op, loss),
      weight,
      name: outputs[i].name === undefined ? undefined : under(i, "loss"),
    })),
    metrics: measured.filter((metric): metric is Measured<SampleMetric> => "perSample" in metric),
    whole: measured.filter((metric): metric is Measured<WholeMetric> => "whole" in metric),
  };
}

/** Throws for metrics that make no sense of the targets that there are. */
export function checkObjective({ losses, metrics, whole }: Objective, { y }: Examples): void {
  for (const { metric, output } of [...metrics, ...whole]) checkMetric(metric, losses[output].loss, y[output]);
}

/** The outputs, by their numbers, of which a metric needs all predictions. */
export const wholeOutputs = ({ whole }: Objective): number[] => [...new Set(whole.map(({ output }) => output))];

/** What is measured in every step, in this order: the whole loss, those of outputs with names, metrics. */
const measuredOf = ({ losses, metrics }: Objective): { name: string; finish?(mean: number): number }[] => [
  { name: "loss" },
  ...losses.flatMap(({ name }) => (name === undefined ? [] : [{ name }])),
  ...metrics,
];

export const noSums = (objective: Objective): number[] => measuredOf(objective).map(() => 0);

/** The scores of sums over `count` rows. */
export function scoresOf(sums: readonly number[], count: number, objective: Objective): Scores {
  const [loss, ...others] = measuredOf(objective).map(
    ({ name, finish = (x) => x }, i) => [name, finish(sums[i] / count)] as const,
  );
  return { ...Object.fromEntries(others), loss: loss[1] };
}

/**
 * What is measured of each row of a batch, [B] each: the whole loss first. Rows' weights count in the losses alone.
 * @param y targets of each output, [B] of int or [B, …]
 * @param masks which places of each output count, [B, T], where it is a sequence with padding
 */
export function scorePerRow(
  { losses, metrics }: Objective,
  outputs: readonly Node[],
  y: readonly Node[],
  weights: Node | undefined,
  masks: readonly (Node | undefined)[],
): { readonly loss: Node; readonly others: readonly Node[]; readonly own: readonly Node[] } {
  const targets = outputs.map((output, i) => (y[i].dtype === "int" ? y[i] : reshape(y[i], output.shape)));
  const measure = (i: number, perSample: (output: Node, target: Node) => Node): Node => {
    const mask = masks[i];
    return mask ? overPlaces(perSample, outputs[i], targets[i], mask) : perSample(outputs[i], targets[i]);
  };
  const own = losses.map(({ loss, name }, i) =>
    inScope(name ?? "loss", () => {
      const each = measure(i, (output, target) => lossPerSample(loss, output, target));
      return weights ? mul(each, weights) : each;
    }),
  );
  return inScope("loss", () => ({
    loss: own
      .map((each, i) => (losses[i].weight === 1 ? each : mul(each, losses[i].weight)))
      .reduce((a, b) => add(a, b)),
    own,
    others: [
      ...own.filter((_, i) => losses[i].name !== undefined),
      ...metrics.map((metric) =>
        measure(metric.output, (output, target) => metric.perSample(output, target, losses[metric.output].loss)),
      ),
    ],
  }));
}
