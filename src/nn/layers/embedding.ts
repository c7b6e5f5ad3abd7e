/** The embedding: whole numbers become rows of a table that is learnt. */
import { checkWhole } from "../../checks.ts";
import { DataError } from "../../errors.ts";
import { gather, greater, toIndex } from "../../ops/index.ts";
import { type InitializerName, initializer } from "../initializers.ts";
import { defineLayer, type Layer, type LayerOptions } from "../layer.ts";
import { type AffineOptions, checkAffine, weightPenalty } from "./affine.ts";

/** Options of `embedding`. */
export interface EmbeddingOptions extends LayerOptions, Pick<AffineOptions, "l1" | "l2"> {
  /** How the table [vocabulary, units] begins; `uniform(0.05)` unless said. */
  readonly init?: InitializerName | number;
  /** Whether the number 0 is padding: places that do not count for the layers that follow, nor in the loss; false unless said. */
  readonly maskZero?: boolean;
}

const make = defineLayer<{ readonly vocabulary: number; readonly units: number } & EmbeddingOptions>("embedding", {
  options: ["init", "l1", "l2", "maskZero"],
  masks: "takes",
  scales: true,
  parameters: ({ vocabulary, units, init = "uniform(0.05)", ...config }) => [
    { name: "table", shape: [vocabulary, units], init: initializer(init), penalty: weightPenalty(config) },
  ],
  apply: ({ vocabulary, maskZero = false }, { x, parameter, maskOf, setMask, memory }) => {
    const mask = maskZero && !memory ? greater(x, 0) : maskOf(x);
    if (mask) setMask(mask);
    return gather(parameter("table"), toIndex(x, vocabulary));
  },
  check: ({ vocabulary }, values, rowSize, what) => {
    for (let i = 0; i < values.length; i++) {
      if (Number.isInteger(values[i]) && values[i] >= 0 && values[i] < vocabulary) continue;
      const [row, column] = [Math.floor(i / rowSize) + 1, (i % rowSize) + 1];
      throw new DataError(
        `${what}, row ${row}, column ${column} is ${values[i]}; an embedding of ${vocabulary} takes whole numbers from 0 to ${vocabulary - 1}.`,
        { row, column },
      );
    }
  },
  describe: ({ vocabulary, units }) => `${vocabulary} → ${units}`,
});

/**
 * Looks whole numbers from 0 to vocabulary − 1 up in a table that is learnt: [B, …] → [B, …, units].
 *
 * @example
 * const model = sequential({ input: [20] }, [embedding(1000, 16), flatten(), dense(2)]);
 */
export function embedding(vocabulary: number, units: number, options: EmbeddingOptions = {}): Layer {
  checkWhole("embedding: ", { vocabulary, units }, 1);
  checkAffine("embedding", options);
  return make(options, { vocabulary, units });
}
