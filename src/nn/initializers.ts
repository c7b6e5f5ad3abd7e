/**
 * Initial values of parameters, by name. Each is a function of the shape and a random stream, so that one seed decides
 * them all. For a kernel [..., I, O] fan-in is the number of inputs that one output sums, fan-out the reverse.
 */
import { unknownName } from "../checks.ts";
import { ShapeError } from "../errors.ts";
import { type Shape, showShape, sizeOf } from "../graph/shape.ts";
import type { RandomStream } from "../random.ts";
import { parseCall } from "./call.ts";

/** Fills a new array of the given shape. */
export type Initializer = (shape: Shape, stream: RandomStream) => Float32Array;

/** The inputs that one output sums, and the outputs that one input reaches. */
export function fans(shape: Shape): { fanIn: number; fanOut: number } {
  const size = sizeOf(shape);
  if (shape.length < 2) return { fanIn: size, fanOut: size };
  const [inputs, outputs] = shape.slice(-2);
  return { fanIn: size / outputs, fanOut: size / inputs };
}

const fill = (shape: Shape, value: () => number): Float32Array => Float32Array.from({ length: sizeOf(shape) }, value);

/** Initialisers of numbers drawn in some way, times a scale that follows from the fans. */
const drawn =
  (draw: (stream: RandomStream) => number) =>
  (scaleOf: (fanIn: number, fanOut: number) => number): Initializer =>
  (shape, stream) => {
    const { fanIn, fanOut } = fans(shape);
    const scale = scaleOf(fanIn, fanOut);
    return fill(shape, () => scale * draw(stream));
  };

const normal = drawn((stream) => stream.normal());
const uniform = drawn((stream) => 2 * stream.uniform() - 1);
const truncated = drawn((stream) => {
  for (;;) {
    const value = stream.normal();
    if (Math.abs(value) <= 2) return value;
  }
});

/**
 * A random orthogonal matrix times `gain`: rows × O with orthonormal columns, or rows if those are fewer, by
 * Gram–Schmidt (done twice, which makes up for rounding) on normal numbers.
 */
const orthogonalOf =
  (gain: number): Initializer =>
  (shape, stream) => {
    const columns = shape.length > 0 ? shape[shape.length - 1] : 1;
    const rows = sizeOf(shape) / columns;
    const [count, length] = [Math.min(rows, columns), Math.max(rows, columns)];
    const vectors: Float64Array[] = [];
    for (let i = 0; i < count; i++) {
      const v = Float64Array.from({ length }, () => stream.normal());
      const dot = (u: Float64Array): number => u.reduce((sum, x, k) => sum + x * v[k], 0);
      for (let pass = 0; pass < 2; pass++) {
        for (const u of vectors) {
          const along = dot(u);
          for (let k = 0; k < length; k++) v[k] -= along * u[k];
        }
        const norm = Math.sqrt(dot(v));
        for (let k = 0; k < length; k++) v[k] /= norm;
      }
      vectors.push(v);
    }
    return Float32Array.from({ length: rows * columns }, (_, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns];
      return gain * (rows >= columns ? vectors[column][row] : vectors[row][column]);
    });
  };

/** The same value everywhere. */
export const constantValue =
  (value: number): Initializer =>
  (shape) =>
    fill(shape, () => value);

const he = normal((fanIn) => Math.sqrt(2 / fanIn));
const heUniform = uniform((fanIn) => Math.sqrt(6 / fanIn));

/** The initialisers that can be named, each with its default number if it takes one in brackets: `random(0.02)`. */
const INITIALIZERS = {
  zeros: constantValue(0),
  ones: constantValue(1),
  /** N(0, 1/fan-in): the simple form of Xavier's. */
  xavier: normal((fanIn) => Math.sqrt(1 / fanIn)),
  /** Glorot & Bengio, 2010. */
  glorotNormal: normal((fanIn, fanOut) => Math.sqrt(2 / (fanIn + fanOut))),
  glorotUniform: uniform((fanIn, fanOut) => Math.sqrt(6 / (fanIn + fanOut))),
  /** He et al., 2015: N(0, 2/fan-in), for ReLU; PyTorch calls them by his other name. */
  he,
  heUniform,
  kaiming: he,
  kaimingUniform: heUniform,
  /** LeCun et al., 1998. */
  lecun: normal((fanIn) => Math.sqrt(1 / fanIn)),
  lecunUniform: uniform((fanIn) => Math.sqrt(3 / fanIn)),
} as const satisfies Record<string, Initializer>;

const WITH_NUMBER = {
  /** The same value everywhere. */
  constant: [0, constantValue],
  /** Small and random: N(0, σ²). */
  random: [0.01, (sigma: number) => normal(() => sigma)],
  /** N(0, σ²) without what lies beyond 2σ. */
  truncatedNormal: [0.05, (sigma: number) => truncated(() => sigma)],
  /** Uniform from −limit to limit. */
  uniform: [0.05, (limit: number) => uniform(() => limit)],
  /** Saxe, McClelland & Ganguli, 2014; times a gain, √2 for ReLU. */
  orthogonal: [1, orthogonalOf],
} as const satisfies Record<string, readonly [number, (parameter: number) => Initializer]>;

type Plain = keyof typeof INITIALIZERS;
type Numbered = keyof typeof WITH_NUMBER;

/** The name of an initialiser, such as `he` or `truncatedNormal(0.02)`, or of one made known with defineInitializer. */
export type InitializerName = Plain | Numbered | `${Numbered}(${number})` | (string & {});

const PLAIN = new Map<string, Initializer>(Object.entries(INITIALIZERS));
const NUMBERED = new Map<string, readonly [number, (parameter: number) => Initializer]>(Object.entries(WITH_NUMBER));

/** The names of all initialisers, own ones included. */
export const initializerNames = (): string[] => [...PLAIN.keys(), ...NUMBERED.keys()];

/**
 * Makes an initialiser of your own known by name.
 *
 * @example
 * defineInitializer("identity", ([rows, columns]) => Float32Array.from({ length: rows * columns }, (_, i) => (i % (columns + 1) === 0 ? 1 : 0)));
 * const layer = dense(4, { init: "identity" });
 */
export function defineInitializer(name: string, initializer: Initializer): void {
  PLAIN.set(name, (shape, stream) => {
    const values = initializer(shape, stream);
    if (values.length === sizeOf(shape)) return values;
    throw new ShapeError(
      `The initialiser "${name}" gave ${values.length} numbers for the shape ${showShape(shape)}; ${sizeOf(shape)} were wanted.`,
    );
  });
}

/**
 * The initialiser of a name, or of a number: the same value everywhere.
 * @throws ArgumentError if there is none of that name
 */
export function initializer(text: InitializerName | number): Initializer {
  if (typeof text === "number") return constantValue(text);
  const { name, parameter } = parseCall(text);
  const [usual, make] = NUMBERED.get(name) ?? [];
  const found = PLAIN.get(text) ?? make?.(parameter ?? usual!);
  if (found) return found;
  const numbered = [...NUMBERED.keys()].join(", ");
  throw unknownName(
    "initialiser",
    text,
    initializerNames(),
    ` (${numbered} may take a number in brackets), or a number`,
  );
}

/** The usual initialiser of a kernel, by the activation after it: He's for ReLU and its kin, LeCun's for SELU, else Glorot's. */
export function usualInit(activation: string): InitializerName {
  const { name } = parseCall(activation);
  if (name === "selu") return "lecun";
  return /elu|silu|swish|mish/i.test(name) ? "he" : "glorotUniform";
}
