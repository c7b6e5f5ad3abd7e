/**
 * Small data sets that need no download: XOR, spirals, moons, circles, a curve to fit, Fisher's iris. What is random
 * in them is drawn from a seed, the same every time.
 */
import { checkOptionNames } from "../checks.ts";
import { RandomStream } from "../random.ts";
import type { Dataset } from "./dataset.ts";
import { checkInteger } from "./fail.ts";
import { FEATURES, ROWS, SPECIES } from "./iris.ts";

const TOY = ["count", "noise", "seed"];

/** Options of the data sets that are drawn at random. */
export interface ToyOptions {
  /** Number of rows in all. */
  readonly count?: number;
  /** Standard deviation of the noise on every coordinate. */
  readonly noise?: number;
  readonly seed?: number;
}

/**
 * Exclusive or: four rows of two inputs; the smallest task that no net without a hidden layer can learn. More rows go
 * round the four corners again, each moved by the noise (none unless said).
 *
 * @example
 * import { xor } from "chainrule/data";
 * console.log(xor().x, xor().y); // Float32Array(8) [ 0, 0, 0, 1, 1, 0, 1, 1 ] Int32Array(4) [ 0, 1, 1, 0 ]
 * console.log(xor({ count: 200, noise: 0.15 }).count); // 200
 */
export function xor(options: ToyOptions = {}): Dataset {
  checkOptionNames("xor", options, TOY);
  const { count = 4, noise = 0, seed = 0 } = options;
  checkInteger("count", count, 2);
  const random = new RandomStream(seed, "xor");
  const [a, b] = [(i: number) => (i >> 1) & 1, (i: number) => i & 1];
  return {
    x: Float32Array.from({ length: 2 * count }, (_, i) => {
      const corner = i % 2 === 0 ? a(i >> 1) : b(i >> 1);
      return noise === 0 ? corner : corner + noise * random.normal();
    }),
    y: Int32Array.from({ length: count }, (_, i) => a(i) ^ b(i)),
    count,
    inputShape: [2],
    task: "classification",
    classes: ["0", "1"],
    features: ["a", "b"],
  };
}

/**
 * Spiral arms, one class each, that wind once around the origin within radius 1.
 *
 * @example
 * import { spirals } from "chainrule/data";
 * console.log(spirals({ classes: 3, count: 300 }).count); // 300
 */
export function spirals(options: ToyOptions & { readonly classes?: number } = {}): Dataset {
  checkOptionNames("spirals", options, ["classes", ...TOY]);
  const { classes = 3, count = 300, noise = 0.02, seed = 0 } = options;
  checkInteger("classes", classes, 2, 100);
  return plane("spirals", classes, count, noise, seed, (label, t) => {
    const angle = (2 * Math.PI * label) / classes + 2 * Math.PI * t;
    return [t * Math.cos(angle), t * Math.sin(angle)];
  });
}

/**
 * Two half circles that interlock.
 *
 * @example
 * import { moons } from "chainrule/data";
 * console.log(moons({ count: 200, noise: 0.1, seed: 7 }).inputShape); // [ 2 ]
 */
export function moons(options: ToyOptions = {}): Dataset {
  checkOptionNames("moons", options, TOY);
  const { count = 200, noise = 0.1, seed = 0 } = options;
  return plane("moons", 2, count, noise, seed, (label, t) => {
    const [x, y] = [Math.cos(Math.PI * t), Math.sin(Math.PI * t)];
    return label === 0 ? [x, y] : [1 - x, 0.5 - y];
  });
}

/**
 * A circle of radius 1 and one of radius 0.5 within it.
 *
 * @example
 * import { circles } from "chainrule/data";
 * console.log(circles({ count: 100 }).classes); // [ '0', '1' ]
 */
export function circles(options: ToyOptions = {}): Dataset {
  checkOptionNames("circles", options, TOY);
  const { count = 200, noise = 0.05, seed = 0 } = options;
  return plane("circles", 2, count, noise, seed, (label, t) => {
    const radius = label === 0 ? 1 : 0.5;
    return [radius * Math.cos(2 * Math.PI * t), radius * Math.sin(2 * Math.PI * t)];
  });
}

/**
 * A curve to fit: y = sin(πx) + x/2 for x in [−1, 1].
 *
 * @example
 * import { curve } from "chainrule/data";
 * console.log(curve({ count: 50 }).task); // regression
 */
export function curve(options: ToyOptions = {}): Dataset {
  checkOptionNames("curve", options, TOY);
  const { count = 200, noise = 0.05, seed = 0 } = options;
  checkInteger("count", count, 1);
  const random = new RandomStream(seed, "curve");
  const x = new Float32Array(count);
  const y = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    x[i] = 2 * random.uniform() - 1;
    y[i] = Math.sin(Math.PI * x[i]) + x[i] / 2 + noise * random.normal();
  }
  return { x, y, count, inputShape: [1], task: "regression", features: ["x"] };
}

/**
 * Fisher's iris: 150 flowers of three species, four lengths in centimetres
 * (R. A. Fisher: "The use of multiple measurements in taxonomic problems", 1936).
 *
 * @example
 * import { iris } from "chainrule/data";
 * console.log(iris().classes); // [ 'setosa', 'versicolor', 'virginica' ]
 */
export function iris(): Dataset {
  return {
    x: Float32Array.from(ROWS, (millimetres) => millimetres / 10),
    y: Int32Array.from({ length: 150 }, (_, i) => Math.floor(i / 50)),
    count: 150,
    inputShape: [4],
    task: "classification",
    classes: [...SPECIES],
    features: [...FEATURES],
  };
}

/** Points of a plane, the classes in turn; `point` places the one at t in [0, 1) of its class. */
function plane(
  name: string,
  classes: number,
  count: number,
  noise: number,
  seed: number,
  point: (label: number, t: number) => [number, number],
): Dataset {
  checkInteger("count", count, classes);
  const random = new RandomStream(seed, name);
  const x = new Float32Array(2 * count);
  const y = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    y[i] = i % classes;
    const [x0, x1] = point(y[i], random.uniform());
    x[2 * i] = x0 + noise * random.normal();
    x[2 * i + 1] = x1 + noise * random.normal();
  }
  return {
    x,
    y,
    count,
    inputShape: [2],
    task: "classification",
    classes: Array.from({ length: classes }, (_, i) => String(i)),
    features: ["x0", "x1"],
  };
}
