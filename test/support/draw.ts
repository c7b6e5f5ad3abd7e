/** Draws the numbers that an op's cases describe. */

import { input } from "../../src/graph/leaf.ts";
import type { Attributes, Node } from "../../src/graph/node.ts";
import type { AnyArray, Op } from "../../src/graph/op.ts";
import { applyOp } from "../../src/graph/op.ts";
import type { Sample } from "../../src/graph/samples.ts";
import { sizeOf } from "../../src/graph/shape.ts";
import { casesOf } from "../../src/ops/about.ts";
import { RandomStream } from "../../src/random.ts";

export function draw(sample: Sample, stream: RandomStream): AnyArray {
  const size = sizeOf(sample.shape);
  if (sample.dtype !== "float") {
    const values = Array.from({ length: size }, () => sample.low + stream.integer(sample.high - sample.low));
    return sample.dtype === "int" ? Int32Array.from(values) : Uint8Array.from(values);
  }
  return Float64Array.from({ length: size }, () => {
    for (;;) {
      const value = sample.low + (sample.high - sample.low) * stream.uniform();
      if (Math.abs(value) >= sample.gap) return Math.fround(value);
    }
  });
}

/** The graph of one case: its inputs and the op applied to them, with numbers drawn from a stream of the op's name. */
export function buildCase(op: Op, index: number): { inputs: Node[]; y: Node; values: AnyArray[] } {
  const one = casesOf(op)[index];
  const { inputs: samples, attributes } = "inputs" in one ? one : { inputs: one, attributes: {} };
  const stream = new RandomStream(index, op.name);
  const inputs = samples.map((sample, i) => input(`x${i}`, sample.shape, sample.dtype));
  return {
    inputs,
    y: applyOp(op, inputs, attributes as Attributes),
    values: samples.map((sample) => draw(sample, stream)),
  };
}
