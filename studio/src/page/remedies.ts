/** What to try for each kind of warning, as an edit of the spec: one click tries it. */
import type { LayerSpec, Spec } from "../lab/spec.ts";

export interface Remedy {
  readonly label: string;
  readonly spec: Spec;
}

const withActivation = (spec: Spec, from: RegExp, to: string): Spec => ({
  ...spec,
  layers: spec.layers.map((layer): LayerSpec => {
    return from.test(String(layer.config.activation ?? ""))
      ? {
          ...layer,
          config: { ...layer.config, activation: to, ...(layer.kind === "dense" && to === "relu" && { init: "he" }) },
        }
      : layer;
  }),
});

const withRate = (spec: Spec, factor: number): Spec => ({
  ...spec,
  optimizer: { ...spec.optimizer, learningRate: Number((spec.optimizer.learningRate * factor).toPrecision(3)) },
});

/** Batch normalisation between each weighted sum and its activation. */
const withBatchNorm = (spec: Spec): Spec => ({
  ...spec,
  layers: spec.layers.flatMap((layer): LayerSpec[] =>
    layer.kind === "dense" && layer.config.activation !== "linear"
      ? [
          { kind: "dense", config: { ...layer.config, activation: "linear" } },
          { kind: "batchNorm", config: {} },
          { kind: "activation", config: { activation: String(layer.config.activation ?? "relu") } },
        ]
      : [layer],
  ),
});

const same = (a: Spec, b: Spec): boolean => JSON.stringify(a) === JSON.stringify(b);

export function remediesFor(kind: string, spec: Spec): readonly Remedy[] {
  const squashing = /^(sigmoid|tanh|hardSigmoid|hardTanh|softsign)$/;
  const all: Readonly<Record<string, () => readonly Remedy[]>> = {
    vanishingGradient: () => [
      { label: "relu with He's first weights", spec: withActivation(spec, squashing, "relu") },
      { label: "batch normalisation", spec: withBatchNorm(spec) },
    ],
    saturatedActivation: () => [
      { label: "relu with He's first weights", spec: withActivation(spec, squashing, "relu") },
      { label: "a tenth of the learning rate", spec: withRate(spec, 0.1) },
    ],
    deadUnits: () => [
      { label: "leakyRelu", spec: withActivation(spec, /^relu$/, "leakyRelu") },
      { label: "a tenth of the learning rate", spec: withRate(spec, 0.1) },
    ],
    explodingGradient: () => [{ label: "a tenth of the learning rate", spec: withRate(spec, 0.1) }],
    notLearning: () => [
      { label: "Adam", spec: { ...spec, optimizer: { ...spec.optimizer, name: "adam", learningRate: 0.01 } } },
      { label: "ten times the learning rate", spec: withRate(spec, 10) },
    ],
  };
  const own = Object.hasOwn(all, kind) ? all[kind]() : [];
  return own.filter((remedy) => !same(remedy.spec, spec));
}
