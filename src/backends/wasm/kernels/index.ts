/** The kernels of the structural ops, by op name. Elementwise ops and reductions need none: loops serve them all. */
import type { Kernel } from "../kernel.ts";
import { concat, pad, slice, transpose } from "./copy.ts";
import { argmax, gather, oneHot, scatterAdd } from "./gather.ts";
import { matmul } from "./matmul.ts";
import { randomUniform } from "./random.ts";

export const KERNELS: Readonly<Record<string, Kernel>> = {
  argmax,
  concat,
  gather,
  matmul,
  oneHot,
  pad,
  randomUniform,
  scatterAdd,
  slice,
  transpose,
};
