/** All operators that are known, by their names in ONNX. */
import type { Operators } from "../call.ts";
import { ARRANGEMENT } from "./arrangement.ts";
import { CONTROL } from "./control.ts";
import { CONVOLUTION } from "./convolution.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { LINEAR } from "./linear.ts";
import { LOOKUP } from "./lookup.ts";
import { LOSS } from "./loss.ts";
import { NORMALIZATION } from "./normalization.ts";
import { QUANTIZATION } from "./quantization.ts";
import { REDUCTION } from "./reduction.ts";
import { RESIZE } from "./resize.ts";
import { SEQUENCE } from "./sequence.ts";

export const OPERATORS: Operators = {
  ...ARRANGEMENT,
  ...CONTROL,
  ...CONVOLUTION,
  ...ELEMENTWISE,
  ...LINEAR,
  ...LOOKUP,
  ...LOSS,
  ...NORMALIZATION,
  ...QUANTIZATION,
  ...REDUCTION,
  ...RESIZE,
  ...SEQUENCE,
};
