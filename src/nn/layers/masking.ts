/** Masking: says which places of a sequence are padding, for the layers that follow and for the loss. It changes no number. */
import { checkNumbers } from "../../checks.ts";
import { abs, greater, max, sub } from "../../ops/index.ts";
import { defineLayer, type Layer, type LayerOptions } from "../layer.ts";
import { wantAxes } from "./reshape.ts";

/** Options of `masking`. */
export interface MaskingOptions extends LayerOptions {
  /** A place all of whose features are this number is padding; 0 unless said. */
  readonly value?: number;
}

const make = defineLayer<MaskingOptions>("masking", {
  options: ["value"],
  masks: "takes",
  apply: ({ value = 0 }, { x, name, setMask, memory }) => {
    wantAxes(1, "masking", x.shape);
    if (!memory) setMask(name(greater(max(abs(sub(x, value)), 2), 0), "mask")); // [B, T]
    return x;
  },
  describe: ({ value = 0 }) => `${value}`,
});

/**
 * Marks as padding each place of a sequence whose features are all `value`: [B, T, D] → the same. Recurrent layers stand still
 * there, attention does not look there, `globalAveragePool1d` and `globalMaxPool1d` leave it out, and losses and metrics of each
 * place do not count it. So rows of different lengths are filled up to one length, and give what they give without. Put it first: a
 * layer that changes values changes the padding's too.
 *
 * @example
 * const model = sequential({ input: [20, 3] }, [masking(), gru(16), dense(4)]);
 */
export function masking(options: MaskingOptions = {}): Layer {
  const { value = 0 } = options;
  checkNumbers("masking: ", { value }, [Number.isFinite, "a finite number"]);
  return make(options);
}
