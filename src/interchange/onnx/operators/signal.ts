/** Operators over signals: windows, Fourier transforms as products with sines and cosines, mel scales. */
import { constant } from "../../../graph/leaf.ts";
import type { Node } from "../../../graph/node.ts";
import { add, concat, matmul, mul, neg, reshape, slice, transpose } from "../../../ops/index.ts";
import type { Call, Operator, Operators } from "../call.ts";
import { Value } from "../value.ts";
import { inverse, range, rowNumbers, take } from "./moving.ts";

/** A window over a signal: a sum of cosines, of a whole period, or, where it is symmetric, to the very end of it. */
const signalWindow =
  (...terms: readonly number[]): Operator =>
  (call) => {
    const [size] = call.known(0)!;
    const period = call.number("periodic", 1) ? size : size - 1;
    const values = range(size).map((i) =>
      terms.reduce((sum, a, k) => sum + (k % 2 ? -a : a) * Math.cos((2 * Math.PI * k * i) / period), 0),
    );
    return new Value(constant(Float64Array.from(values), [size]), call.type(call.number("output_datatype", 1)));
  };

interface Transform {
  /** The number n of points; what a signal has more is left out, what it lacks is 0. */
  readonly length: number;
  readonly inverse: boolean;
  /** Only the first half of the spectrum, of which the rest is the mirror image. */
  readonly onesided: boolean;
}

/** y[k] = Σ x[t] · e^(∓2πi k t / n) of x [..., T, 1 or 2], real and imaginary parts last. */
function fourier(x: Node, { length, inverse, onesided }: Transform): Node {
  const rank = x.shape.length;
  const [given, parts] = x.shape.slice(-2);
  const half = Math.floor(length / 2) + 1;
  const [used, wanted] = onesided ? (inverse ? [half, length] : [length, half]) : [length, length];
  const matrix = (wave: (angle: number) => number): Node => {
    const values = range(given).flatMap((t) =>
      range(wanted).map((k) => {
        if (t >= used) return 0;
        const value = wave((2 * Math.PI * ((t * k) % length)) / length);
        if (!inverse) return value;
        // In half a spectrum, all but the first and the middle stand for two.
        const isTwo = onesided && t > 0 && 2 * t !== length;
        return ((isTwo ? 2 : 1) * value) / length;
      }),
    );
    return constant(Float64Array.from(values), [given, wanted]);
  };
  const [cosine, sine] = [matrix(Math.cos), matrix(Math.sin)];
  const outer = x.shape.slice(0, -2);
  const part = (i: number): Node =>
    reshape(
      slice(
        x,
        x.shape.map((_, axis) => (axis === rank - 1 ? i : 0)),
        [...outer, given, 1],
      ),
      [...outer.slice(0, -1), outer.at(-1) ?? 1, given],
    );
  const re = part(0);
  const im = parts === 2 ? part(1) : undefined;
  const turned = inverse ? neg(sine) : sine;
  const real = im ? add(matmul(re, cosine), matmul(im, turned)) : matmul(re, cosine);
  const unit = [...outer, wanted, 1];
  if (inverse && onesided) return reshape(real, unit);
  const cross = neg(matmul(re, turned));
  const imaginary = im ? add(matmul(im, cosine), cross) : cross;
  return concat([reshape(real, unit), reshape(imaginary, unit)], rank - 1);
}

function transform(call: Call): Value {
  const x = call.value(0);
  const rank = x.shape.length;
  const axis = call.axis(call.version < 20 ? call.number("axis", 1) : (call.known(2)?.[0] ?? -2), x.shape);
  const isInverse = call.number("inverse", 0) !== 0;
  const onesided = call.number("onesided", 0) !== 0;
  const own = x.shape[axis];
  const [length = isInverse && onesided ? 2 * (own - 1) : own] = call.known(1) ?? [];
  const order = [...range(rank - 1).filter((i) => i !== axis), axis, rank - 1];
  const y = fourier(transpose(x.node, order), { length, inverse: isInverse, onesided });
  return new Value(transpose(y, inverse(order)), x.type);
}

/** The spectra of pieces of a signal [B, T, 1 or 2], each seen through a window: [B, frames, bins, 2]. */
function shortTime(call: Call): Value {
  const x = call.value(0);
  const [step] = call.known(1)!;
  const window = call.optional(2);
  const length = call.known(3)?.[0] ?? window?.shape[0] ?? x.shape[1];
  const frames = Math.floor((x.shape[1] - length) / step) + 1;
  const places = range(frames * length).map((i) => Math.floor(i / length) * step + (i % length));
  const pieces = take(x.node, rowNumbers(places, [frames, length]), 1); // [B, F, N, 1 or 2]
  const seen = window ? mul(pieces, reshape(window.node, [length, 1])) : pieces;
  return new Value(fourier(seen, { length, inverse: false, onesided: call.number("onesided", 1) !== 0 }), x.type);
}

/** How much of each frequency of a spectrum goes into each band, which are equally wide for the ear: triangles. */
function melWeights(call: Call): Value {
  const [bands, length, rate, lowest, highest] = range(5).map((i) => call.known(i)![0]);
  const mel = (hertz: number): number => 2595 * Math.log10(1 + hertz / 700);
  const step = (mel(highest) - mel(lowest)) / (bands + 2);
  const bins = range(bands + 2).map((i) => {
    const hertz = 700 * (10 ** ((mel(lowest) + i * step) / 2595) - 1);
    return Math.floor(((length + 1) * hertz) / rate);
  });
  const rows = Math.floor(length / 2) + 1;
  const values = range(rows * bands).map((i) => {
    const [row, band] = [Math.floor(i / bands), i % bands];
    const [low, centre, high] = bins.slice(band, band + 3);
    if (row === centre) return 1;
    if (row > low && row < centre) return (row - low) / (centre - low);
    return row > centre && row < high ? (high - row) / (high - centre) : 0;
  });
  return new Value(constant(Float64Array.from(values), [rows, bands]), call.type(call.number("output_datatype", 1)));
}

export const SIGNAL: Operators = {
  BlackmanWindow: signalWindow(0.42, 0.5, 0.08),
  DFT: transform,
  HammingWindow: signalWindow(25 / 46, 21 / 46),
  HannWindow: signalWindow(0.5, 0.5),
  MelWeightMatrix: melWeights,
  STFT: shortTime,
};
