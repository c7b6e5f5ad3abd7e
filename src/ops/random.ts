/** Random numbers inside a plan: a pure function of a key, the number of the step, and the place in the array. */
import { ShapeError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { type AboutOps, applyOp, defineOp } from "../graph/op.ts";
import { indices } from "../graph/samples.ts";
import type { Shape } from "../graph/shape.ts";
import { threefry2x32 } from "../random.ts";

type RandomAttributes = { readonly shape: Shape; readonly key: readonly [number, number] };

const randomUniformOp = defineOp<RandomAttributes>({
  name: "randomUniform",
  meaning: {
    kind: "structural",
    epilogue: () => 0,
    // Eight elements come from four counters: first the four first words, then the four second ones, which is how four
    // SIMD lanes fill two vectors. The upper 24 bits of a word make a float32 in [0, 1) exactly.
    reference: ([step], y, { key }) => {
      for (let i = 0; i < y.data.length; i++) {
        const words = threefry2x32(key[0], key[1], (i >>> 3) * 4 + (i & 3), step.data[0]);
        y.data[i] = (words[(i >>> 2) & 1] >>> 8) / 2 ** 24;
      }
    },
  },
  shape: ([step], { shape }) => {
    if (step.dtype !== "int" || step.shape.length > 0) {
      throw new ShapeError("randomUniform: the number of the step must be a scalar of type int.");
    }
    return { shape, dtype: "float" };
  },
});

/**
 * Uniform numbers in [0, 1): the same for the same key and step, on every backend and thread.
 * @param step a scalar of type int that differs from step to step
 * @param key two 32-bit words, as `streamKey(seed, name)` gives them
 */
export const randomUniform = (step: Node, shape: Shape, key: readonly [number, number]): Node =>
  applyOp(randomUniformOp, [step], { shape, key });

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  randomUniform: {
    explain: { forward: "y uniform in [0, 1)", derivative: "0" },
    cases: [
      { inputs: [indices(1000)], attributes: { shape: [3, 5], key: [1, 2] } },
      { inputs: [indices(1000)], attributes: { shape: [4, 32], key: [0xdeadbeef, 7] } },
    ],
  },
});
