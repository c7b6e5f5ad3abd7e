/** `chainrule/interchange`: other people's models in, one's own out. */
export { type FromOnnxOptions, fromOnnx } from "./onnx/from-onnx.ts";
export type { ExternalData } from "./onnx/tensors.ts";
export { type ToOnnxOptions, toOnnx } from "./onnx/to-onnx.ts";
