/**
 * Functions of arrays, compiled: `compile` runs a function that builds a graph as one plan, `grad` and `valueAndGrad`
 * differentiate it. For those who need the parts without layers and models.
 */
import type { Backend, Executable, Session } from "../backends/backend.ts";
import { wasm } from "../backends/wasm/session.ts";
import { show } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { input } from "../graph/leaf.ts";
import type { DType, Node } from "../graph/node.ts";
import { type AnyArray, checkNode, type Tensor } from "../graph/op.ts";
import { type Shape, showShape, sizeOf } from "../graph/shape.ts";
import { gradientsOf } from "../ops/index.ts";
import { makePlan } from "../plan/plan.ts";
import { cached } from "./memoize.ts";
import type { Numbers } from "./to-arrays.ts";
import { toArray } from "./to-arrays.ts";

export type { Tensor } from "../graph/op.ts";

/** The shape of nested arrays, from their first elements. */
function shapeOf(values: Numbers | number): Shape {
  if (typeof values !== "object" || values === null) return [];
  const first = values[0] as Numbers | number | undefined;
  return [values.length, ...(first === undefined ? [] : shapeOf(first))];
}

/**
 * An array with a shape: of a number, nested arrays, or a flat array and a shape.
 *
 * @example
 * tensor([[1, 2], [3, 4]]); // shape [2, 2]
 * tensor(new Float32Array(6), [2, 3]);
 */
export function tensor(values: Numbers | number, shape: Shape = shapeOf(values)): Tensor {
  if (typeof values === "number") return { shape, data: Float32Array.from({ length: sizeOf(shape) }, () => values) };
  return { shape, data: toArray(values, shape, "a tensor") };
}

/** A function from nodes to nodes. */
type Build<A extends Node[], R extends Node | readonly Node[]> = (...x: A) => R;
/** As many arrays as there are nodes. */
type Tensors<A extends readonly unknown[]> = { -readonly [K in keyof A]: Tensor };
/** As many arguments, each an array or what `tensor` makes one of. */
export type Arguments<A extends readonly unknown[]> = { -readonly [K in keyof A]: Tensor | Numbers | number };
/** What comes back for a node: an array; for a list of nodes: a list of as many. */
type Result<R> = R extends readonly Node[] ? Tensors<R> : Tensor;

const isTensor = (x: Tensor | Numbers | number): x is Tensor => typeof x === "object" && x !== null && "data" in x;

/** Options of `compile`. */
export interface CompileFunctionOptions {
  /** What computes; the WebAssembly engine with one thread unless said. */
  readonly backend?: Backend;
}

let shared: Session | undefined;
const sessionOf = (backend: Backend | undefined): Session => {
  if (backend) return backend.open();
  shared ??= wasm({ threads: 1 }).open();
  return shared;
};

/**
 * Compiles a function that builds a graph of its arguments. It is traced once for each combination of shapes.
 *
 * @example
 * const f = compile((x, w) => tanh(matmul(x, w)));
 * const y = await f(tensor([[1, 2]]), tensor([[0.5], [0.25]]));
 */
export function compile<A extends Node[], const R extends Node | readonly Node[]>(
  build: Build<A, R>,
  { backend }: CompileFunctionOptions = {},
): (...x: Arguments<A>) => Promise<Result<R>> {
  const session = sessionOf(backend);
  const traced = new Map<string, { executable: Executable; shapes: Shape[]; single: boolean }>();
  return async (...given: (Tensor | Numbers | number)[]) => {
    const x = given.map((each) => (isTensor(each) ? each : tensor(each)));
    const dtypes = x.map(
      ({ data }): DType => (data instanceof Int32Array ? "int" : data instanceof Uint8Array ? "byte" : "float"),
    );
    const key = x.map(({ shape }, i) => `${dtypes[i]}${showShape(shape)}`).join();
    const { executable, shapes, single } = cached(traced, key, () => {
      const inputs = x.map(({ shape }, i) => input(`x${i}`, shape, dtypes[i]));
      const built: Node | readonly Node[] = build(...(inputs as A));
      const outputs = [built].flat() as Node[];
      for (const node of outputs) checkNode("What the function gives", node);
      const executable = session.compile(makePlan({ inputs, outputs }));
      return { executable, shapes: outputs.map((node) => node.shape), single: !Array.isArray(built) };
    });
    const { outputs } = await executable.run(x.map(({ data }) => data as AnyArray));
    const tensors = outputs.map((data, i): Tensor => ({ shape: shapes[i], data }));
    // That a function of one node gives one tensor, the types of the signature say.
    return (single ? tensors[0] : tensors) as unknown as Result<R>;
  };
}

/** Options of `grad` and `valueAndGrad`. */
export interface GradientOptions<W extends readonly number[] | undefined = readonly number[] | undefined>
  extends CompileFunctionOptions {
  /** The numbers of the arguments, from 0, to differentiate with respect to; all unless said. */
  readonly wrt?: W;
}

/** One gradient for each argument, or for each of `wrt`. */
type Gradients<A extends Node[], W> = Tensors<W extends readonly number[] ? W : A>;

/**
 * The value of a scalar function and its gradients with respect to all arguments, or to those whose numbers are given.
 *
 * @example
 * const f = valueAndGrad((w, x) => sum(mul(w, x)), { wrt: [0] });
 * const { value, gradients } = await f(tensor([1, 2]), tensor([3, 4])); // 11, [[3, 4]]
 */
export function valueAndGrad<A extends Node[], const W extends readonly number[] | undefined = undefined>(
  build: Build<A, Node>,
  { wrt, ...options }: GradientOptions<W> = {},
): (...x: Arguments<A>) => Promise<{ value: number; gradients: Gradients<A, W> }> {
  const run = compile((...x: A): readonly Node[] => {
    const y = build(...x);
    checkNode("What the function gives", y);
    const which = (wrt ?? [...x.keys()]).map((i) => {
      if (x[i] === undefined)
        throw new ArgumentError(`wrt names argument ${show(i)}, but the function was called with ${x.length}.`);
      return x[i];
    });
    return [y, ...gradientsOf(y, which)];
  }, options);
  return async (...x) => {
    const [y, ...gradients] = await run(...x);
    return { value: y.data[0], gradients: gradients as Gradients<A, W> };
  };
}

/**
 * The gradients of a scalar function, one for each argument.
 *
 * @example
 * const df = grad((x) => sum(mul(x, x)));
 * const [dx] = await df([1, 2, 3]); // [2, 4, 6]
 */
export function grad<A extends Node[], const W extends readonly number[] | undefined = undefined>(
  build: Build<A, Node>,
  options: GradientOptions<W> = {},
): (...x: Arguments<A>) => Promise<Gradients<A, W>> {
  const run = valueAndGrad(build, options);
  return async (...x) => (await run(...x)).gradients;
}
