/** chainrule/webgpu: training and predicting on a GPU. */
export type { WebgpuOptions } from "./device.ts";
export { webgpu } from "./session.ts";
