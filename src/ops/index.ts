/** All ops, and the gradient over them. */

import { type Gradients, gradients } from "../graph/grad.ts";
import { constant } from "../graph/leaf.ts";
import type { Node } from "../graph/node.ts";
import { add } from "./arithmetic.ts";

export * from "./activations.ts";
export * from "./arithmetic.ts";
export { broadcastTo, reshape, sum, sumTo } from "./broadcast.ts";
export { type ConvolutionOptions, conv1d, conv2d, conv2dTranspose } from "./conv.ts";
export { elementwise, type Value } from "./elementwise.ts";
export { flushSmall, flushTiny } from "./flush.ts";
export * from "./functions.ts";
export * from "./gather.ts";
export { matmul } from "./matmul.ts";
export { averagePool2d, maxPool2d, type PoolingOptions, upsample2d } from "./pool.ts";
export * from "./random.ts";
export { max, mean } from "./reduce.ts";
export * from "./rounding.ts";
export { type Scanned, type ScanOptions, type ScanTurn, scan } from "./scan.ts";
export * from "./shape.ts";
export * from "./softmax.ts";
export * from "./trigonometry.ts";

/**
 * The gradients of a scalar `y` with respect to each node of `wrt`, as nodes of the same graph.
 *
 * @example
 * const x = input("x", []);
 * const [dx] = gradientsOf(mul(x, x), [x]); // 2x
 */
export const gradientsOf = <const W extends readonly Node[]>(y: Node, wrt: W, dy?: Node): Gradients<W> =>
  gradients({ add, fill: (value, like) => constant(value, like.shape) }, y, wrt, dy);
