/** chainrule: neural networks for TypeScript. This file lists the public API and holds no logic. */
export type { Backend, Session } from "./backends/backend.ts";
export { reference } from "./backends/reference/reference.ts";
export { type WasmOptions, wasm } from "./backends/wasm/session.ts";
export * from "./errors.ts";
export { constant, input, variable } from "./graph/leaf.ts";
export type { Node } from "./graph/node.ts";
export { s } from "./graph/scalar.ts";
export type { Shape } from "./graph/shape.ts";
export { type Activation, activationNames, defineActivation } from "./nn/activations.ts";
export { defineInitializer, type Initializer, type InitializerName, initializerNames } from "./nn/initializers.ts";
export {
  defineLayer,
  type Layer,
  type LayerConfig,
  type LayerContext,
  type LayerKind,
  type LayerMaker,
  type LayerOptions,
  type Memory,
  type ParameterSpec,
} from "./nn/layer.ts";
// A name that is a layer's and an op's is the layer here; the op is ops.conv2d, say.
export {
  type AffineOptions,
  type AttentionOptions,
  activation,
  averagePool1d,
  averagePool2d,
  type BatchNormOptions,
  batchNorm,
  bidirectional,
  block,
  branches,
  type CellActivations,
  type Conv1dOptions,
  type Conv2dOptions,
  type Conv2dTransposeOptions,
  chain,
  conv1d,
  conv2d,
  conv2dTranspose,
  type DenseOptions,
  type DepthwiseOptions,
  decoderBlock,
  dense,
  depthwiseConv2d,
  dropout,
  type EmbeddingOptions,
  embedding,
  flatten,
  type GptOptions,
  type GruOptions,
  globalAveragePool1d,
  globalAveragePool2d,
  globalMaxPool1d,
  globalMaxPool2d,
  gpt,
  gru,
  type LayerNormOptions,
  type LstmOptions,
  lastSeason,
  layerNorm,
  lstm,
  type MaskingOptions,
  masking,
  maxPool1d,
  maxPool2d,
  merge,
  multiHeadAttention,
  type NormName,
  normalize,
  type Pool1dOptions,
  type Pool2dOptions,
  type PositionKind,
  type PositionOptions,
  positions,
  type RecurrentOptions,
  rescale,
  reshape,
  residual,
  rmsNorm,
  type SimpleRnnOptions,
  simpleRnn,
  spatialDropout,
  type TransformerOptions,
  transformerBlock,
  unembedding,
  upsampling2d,
  zeroPadding2d,
} from "./nn/layers/index.ts";
export {
  binaryCrossEntropy,
  binaryCrossEntropyOnProbabilities,
  cosine,
  crossEntropy,
  defineLoss,
  halfSquaredError,
  hinge,
  huber,
  klDivergence,
  klDivergenceOnLogs,
  type Loss,
  type LossesOption,
  type LossOption,
  lossNamed,
  lossNames,
  meanAbsoluteError,
  meanSquaredError,
  type OutputLoss,
  type SmoothingOptions,
  squaredHinge,
  type TargetKind,
} from "./nn/losses.ts";
export {
  type InputShapes,
  type NamedLayer,
  type NamedShape,
  Network,
  type NetworkOutput,
  onlyShape,
  type Parameter,
} from "./nn/network.ts";
export type { Flow, Outflow, Structure, Wiring } from "./nn/wiring.ts";
export * from "./ops/index.ts";
export * as ops from "./ops/index.ts";
export type { Padding, PaddingOption, Pair, RowOptions } from "./ops/window.ts";
export * from "./optim/index.ts";
export { RandomStream } from "./random.ts";
export type { BatchSource } from "./train/batch-source.ts";
export {
  type Callback,
  type CallbackMemory,
  type CallbackOption,
  callbackNamed,
  type EarlyStoppingOptions,
  earlyStopping,
  type TrainingRun,
} from "./train/callbacks.ts";
export type { ClassWeights } from "./train/class-weights.ts";
export { Epochs } from "./train/epochs.ts";
export { type FindLearningRateOptions, findLearningRate, type LearningRateSearch } from "./train/find-learning-rate.ts";
export type { Fit, FitObserver, FitOptions, Progress, RunningFit } from "./train/fit.ts";
export { type GenerateOptions, generate, type SamplingOptions } from "./train/generate.ts";
export {
  type ElementCheck,
  type GradcheckOptions,
  type GradientReport,
  gradcheck,
  type ParameterCheck,
} from "./train/gradcheck.ts";
export { health, type Warning, type WarningKind } from "./train/health.ts";
export { type ChartOptions, History } from "./train/history.ts";
export {
  type Classified,
  type EvaluateOptions,
  InferenceModel,
  type ModelOptions,
  type Predicted,
} from "./train/inference-model.ts";
export {
  confusionMatrix,
  defineMetric,
  type Metric,
  metricNames,
  type Predictions,
  type SampleMetric,
  type WholeMetric,
} from "./train/metrics.ts";
export { fromBytes, functional, type InputFlows, load, Model, type PredictedBy, sequential } from "./train/model.ts";
export type { MetricsOption } from "./train/objective.ts";
export { type Recommendation, recommend } from "./train/recommend.ts";
export type { Epoch, EpochReport, Scores } from "./train/scores.ts";
export type { Arrays, Data, Inputs, Numbers, Stream, Targets } from "./train/to-arrays.ts";
export { type StepResult, type TrainStep, type TrainStepOptions, trainStep } from "./train/train-step.ts";
export type { Augment, Pace } from "./train/trainer.ts";
export {
  type Arguments,
  type CompileFunctionOptions,
  compile,
  type GradientOptions,
  grad,
  type Tensor,
  tensor,
  valueAndGrad,
} from "./train/transformations.ts";
export type { Message, Term } from "./wording.ts";
