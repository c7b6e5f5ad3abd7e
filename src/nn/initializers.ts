/**
 * Initial values of parameters, by name. Each is a function of the shape and a random stream, so that one seed decides
 * them all. For a kernel [..., I, O] fan-in is the number of inputs that one output sums, fan-out the reverse.
 */
import { ArgumentError } from "../errors.ts";
import { type Shape, sizeOf } from "../graph/shape.ts";
import type { RandomStream } from "../random.ts";

/** Fills a new array of the given shape. */
export type Initializer = (shape: Shape, stream: RandomStream) => Float32Array;

/** The inputs that one output sums, and the outputs that one input reaches. */
export function fans(shape: Shape): { fanIn: number; fanOut: number } {
  if (shape.length < 2) return { fanIn: sizeOf(shape), fanOut: sizeOf(shape) };
  const field = sizeOf(shape.slice(0, -2));
  return { fanIn: field * shape[shape.length - 2], fanOut: field * shape[shape.length - 1] };
}

const fill = (shape: Shape, value: () => number): Float32Array => Float32Array.from({ length: sizeOf(shape) }, value);

const normal =
  (deviation: (fanIn: number, fanOut: number) => number): Initializer =>
  (shape, stream) => {
    const { fanIn, fanOut } = fans(shape);
    const sigma = deviation(fanIn, fanOut);
    return fill(shape, () => sigma * stream.normal());
  };

const uniform =
  (limit: (fanIn: number, fanOut: number) => number): Initializer =>
  (shape, stream) => {
    const { fanIn, fanOut } = fans(shape);
    const bound = limit(fanIn, fanOut);
    return fill(shape, () => bound * (2 * stream.uniform() - 1));
  };

/** The same value everywhere. */
export const constantValue =
  (value: number): Initializer =>
  (shape) =>
    fill(shape, () => value);

/** The initialisers that can be named in a layer's configuration. */
export const INITIALIZERS = {
  zeros: constantValue(0),
  ones: constantValue(1),
  /** Small and random: N(0, 0.01²). */
  random: normal(() => 0.01),
  /** N(0, 1/fan-in): the simple form of Xavier's. */
  xavier: normal((fanIn) => Math.sqrt(1 / fanIn)),
  /** Glorot & Bengio, 2010. */
  glorotNormal: normal((fanIn, fanOut) => Math.sqrt(2 / (fanIn + fanOut))),
  glorotUniform: uniform((fanIn, fanOut) => Math.sqrt(6 / (fanIn + fanOut))),
  /** He et al., 2015: N(0, 2/fan-in), for ReLU. */
  he: normal((fanIn) => Math.sqrt(2 / fanIn)),
  heUniform: uniform((fanIn) => Math.sqrt(6 / fanIn)),
  /** LeCun et al., 1998. */
  lecun: normal((fanIn) => Math.sqrt(1 / fanIn)),
  lecunUniform: uniform((fanIn) => Math.sqrt(3 / fanIn)),
} as const satisfies Record<string, Initializer>;

/** The name of an initialiser, or a number: the same value everywhere. */
export type InitializerName = keyof typeof INITIALIZERS;

export function initializer(name: InitializerName | number): Initializer {
  if (typeof name === "number") return constantValue(name);
  if (Object.hasOwn(INITIALIZERS, name)) return INITIALIZERS[name];
  throw new ArgumentError(
    `There is no initialiser called "${name}". Choose one of ${Object.keys(INITIALIZERS).join(", ")}, or a number.`,
  );
}
