/** The embedding: whole numbers become rows of a table that is learnt; and back, by a product with the same table. */
import { check, checkWhole } from "../../checks.ts";
import { DataError, ShapeError } from "../../errors.ts";
import { showShape } from "../../graph/shape.ts";
import { gather, greater, matmul, toIndex } from "../../ops/index.ts";
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

const makeUnembedding = defineLayer<{ readonly of: string } & LayerOptions>("unembedding", {
  options: [],
  masks: "places",
  apply: ({ of }, { x, shared }) => {
    const table = shared(`${of}.table`);
    const [features, units] = [x.shape[x.shape.length - 1], table.shape[1]];
    if (x.shape.length < 2 || features !== units)
      throw new ShapeError(
        `the table of ${of} has rows of ${units} features; ${showShape(x.shape.slice(1))} came. Put dense(${units}) before it.`,
      );
    return matmul(x, table, { transposeB: true });
  },
  describe: ({ of }) => `of ${of}`,
});

/**
 * The product with the table of an embedding, transposed: how well each of its rows fits (Press & Wolf, 2017),
 * [B, …, units] → [B, …, vocabulary]. It has no parameters of its own: the table is one parameter, whose gradient is the sum of
 * both uses.
 *
 * @param of the name of the embedding
 *
 * @example
 * const model = sequential({ input: [16] }, [embedding(100, 8, { name: "words" }), dense(8), unembedding("words")]);
 */
export function unembedding(of: string, options: LayerOptions = {}): Layer {
  check(typeof of === "string", 'unembedding takes the name of an embedding, such as unembedding("embedding_1")', of);
  return makeUnembedding(options, { of });
}
