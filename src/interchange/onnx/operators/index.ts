/** All operators that are known, by their names in ONNX. */
import type { Operators } from "../call.ts";
import { ARRANGEMENT } from "./arrangement.ts";
import { ATTENTION } from "./attention.ts";
import { CONTROL } from "./control.ts";
import { CONVOLUTION } from "./convolution.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { KNOWN } from "./known.ts";
import { LINEAR } from "./linear.ts";
import { LISTS } from "./lists.ts";
import { LOOKUP } from "./lookup.ts";
import { LOSS } from "./loss.ts";
import { NORMALIZATION } from "./normalization.ts";
import { OPTIMIZATION } from "./optimization.ts";
import { QUANTIZATION } from "./quantization.ts";
import { RANDOM } from "./random.ts";
import { REDUCTION } from "./reduction.ts";
import { RESIZE } from "./resize.ts";
import { SAMPLING } from "./sampling.ts";
import { SEQUENCE } from "./sequence.ts";
import { SIGNAL } from "./signal.ts";

export const OPERATORS: Operators = {
  ...ARRANGEMENT,
  ...ATTENTION,
  ...CONTROL,
  ...CONVOLUTION,
  ...ELEMENTWISE,
  ...KNOWN,
  ...LINEAR,
  ...LISTS,
  ...LOOKUP,
  ...LOSS,
  ...NORMALIZATION,
  ...OPTIMIZATION,
  ...QUANTIZATION,
  ...RANDOM,
  ...REDUCTION,
  ...RESIZE,
  ...SAMPLING,
  ...SEQUENCE,
  ...SIGNAL,
};
