/** chainrule: neural networks for TypeScript. This file lists the public API and holds no logic. */
export type { Backend, Session } from "./backends/backend.ts";
export { reference } from "./backends/reference/reference.ts";
export { wasm } from "./backends/wasm/session.ts";
export * from "./errors.ts";
export { constant, input, variable } from "./graph/leaf.ts";
export type { Node } from "./graph/node.ts";
export { bytes, indices, nonzero, positive, type Sample, uniform } from "./graph/samples.ts";
export { s } from "./graph/scalar.ts";
export type { Shape } from "./graph/shape.ts";
export { activationNames, defineActivation } from "./nn/activations.ts";
export { defineInitializer, type Initializer, type InitializerName, initializerNames } from "./nn/initializers.ts";
export { defineLayer, type Layer, type LayerContext, type LayerKind } from "./nn/layer.ts";
export { type DenseOptions, dense } from "./nn/layers/dense.ts";
export { activation, dropout, flatten, normalize, rescale } from "./nn/layers/simple.ts";
export {
  binaryCrossEntropy,
  crossEntropy,
  defineLoss,
  huber,
  type Loss,
  type LossOption,
  lossNamed,
  lossNames,
} from "./nn/losses.ts";
export { type NamedLayer, Network } from "./nn/network.ts";
export * from "./ops/index.ts";
export * from "./optim/index.ts";
export { RandomStream } from "./random.ts";
export type { EpochReport, Fit, FitOptions, Progress } from "./train/fit.ts";
export { compile, grad, type Tensor, tensor, valueAndGrad } from "./train/functional.ts";
export { defineMetric, metricNames } from "./train/metrics.ts";
export {
  type Data,
  type EvaluateOptions,
  fromBytes,
  load,
  Model,
  type ModelOptions,
  sequential,
} from "./train/model.ts";
export { type StepResult, type TrainStep, type TrainStepOptions, trainStep } from "./train/step.ts";
export type { Scores } from "./train/trainer.ts";
