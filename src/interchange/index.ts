/** `chainrule/interchange`: other people's models in, one's own out. */

export type { FromKerasOptions } from "./keras/build.ts";
export { fromKeras } from "./keras/from-keras.ts";
export { type FindShard, fromTensorflowJs } from "./keras/tensorflow-js.ts";
export { type ToModuleOptions, toModule } from "./module/to-module.ts";
export { type ToPageOptions, toPage } from "./module/to-page.ts";
export { type FromOnnxOptions, fromOnnx } from "./onnx/from-onnx.ts";
export type { ExternalData } from "./onnx/tensors.ts";
export { type OnnxFiles, type ToOnnxOptions, toOnnx, toOnnxFiles } from "./onnx/to-onnx.ts";
export { fromSafetensors, type ToSafetensorsOptions, toSafetensors } from "./safetensors.ts";
export type { MatrixLayout } from "./torch/forms.ts";
export { type FromTorchOptions, fromTorch, type TorchReport, type TorchRow } from "./torch/from-torch.ts";
export type { LayerNames, MatchedBy } from "./torch/match.ts";
export { type ReadTorchOptions, readTorch, type TorchWeights } from "./torch/read-torch.ts";
export { type TorchModule, type ToTorchOptions, toTorch } from "./torch/to-torch.ts";
export { roundedWeights, type WeightType } from "./weights.ts";
