/** Keras's layers that make one value of several: with ours where shapes are alike, by broadcasting where they are not. */
import { sameShape } from "../../../graph/shape.ts";
import type { Layer } from "../../../nn/layer.ts";
import type { MergeName } from "../../../nn/layers/index.ts";
import { kerasLayer } from "../layer.ts";
import { axisOf, type Translate } from "./place.ts";

const ours = (how: MergeName): Layer => ({ kind: "merge", config: { how } });

/** Ways that our own layer has, by Keras's classes; the others are Keras's alone. */
const merging =
  (how: string, own?: MergeName): Translate =>
  ({ settings, inputs, call }) => {
    const { constant } = call.options;
    if (inputs.length < 2 && constant === undefined) throw settings.unsupported("merges one value with nothing");
    if (how === "subtract" && inputs.length !== 2) throw settings.unsupported("takes more than two values");
    if (typeof constant === "number") return [{ layer: kerasLayer({ op: "merge", how, constant }) }];
    const alike = inputs.every((shape) => sameShape(shape, inputs[0]));
    return [{ layer: own && alike ? ours(own) : kerasLayer({ op: "merge", how }) }];
  };

const concatenated: Translate = ({ settings, inputs }) => {
  const axis = axisOf(settings, "axis", inputs[0]);
  if (inputs.length === 1) return [];
  return [{ layer: axis === inputs[0].length ? ours("concat") : kerasLayer({ op: "merge", how: "concat", axis }) }];
};

export const MERGING_CLASSES: Readonly<Record<string, Translate>> = {
  Add: merging("add", "add"),
  Subtract: merging("subtract"),
  Multiply: merging("multiply", "multiply"),
  Average: merging("average", "average"),
  Maximum: merging("maximum", "maximum"),
  Minimum: merging("minimum"),
  Concatenate: concatenated,
};
