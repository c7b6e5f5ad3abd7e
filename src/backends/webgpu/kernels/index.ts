/** The kernels of the structural ops, by op name. Elementwise ops and reductions need none: loops serve them all. */
import type { Kernel } from "../kernel.ts";
import { conv2d, conv2dInputGradient, conv2dKernelGradient } from "./conv.ts";
import { concat, pad, slice, transpose } from "./copy.ts";
import { argmax, gather, oneHot, scatterAdd, toIndex, topK } from "./gather.ts";
import { matmul } from "./matmul.ts";
import { averagePool2d, averagePool2dGradient, maxPool2d, maxPool2dGradient, maxPool2dPick } from "./pool.ts";
import { randomUniform } from "./random.ts";

export const KERNELS: Readonly<Record<string, Kernel>> = {
  argmax,
  averagePool2d,
  averagePool2dGradient,
  concat,
  conv2d,
  conv2dInputGradient,
  conv2dKernelGradient,
  gather,
  matmul,
  maxPool2d,
  maxPool2dGradient,
  maxPool2dPick,
  oneHot,
  pad,
  randomUniform,
  scatterAdd,
  slice,
  toIndex,
  topK,
  transpose,
};
