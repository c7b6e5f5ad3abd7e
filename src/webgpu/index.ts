/** chainrule/webgpu: training and predicting on a GPU. An entry of its own, so that pages without it load nothing. */
export type { WebgpuOptions } from "../backends/webgpu/device.ts";
export { webgpu } from "../backends/webgpu/session.ts";
