/**
 * The reference backend: a plain interpreter of the graph as it was written, node by node, in float64 or float32. Of a
 * plan it takes what was asked for and none of what the planner made of it, so that it defines what is correct for the
 * planner, too. It is not fast and does not try to be.
 */
import { constantArray, fillValue } from "../../graph/leaf.ts";
import { type Node, topologicalOrder } from "../../graph/node.ts";
import type { AnyArray, FloatArray, Tensor, Turns } from "../../graph/op.ts";
import { compileScalar, inputScalar } from "../../graph/scalar.ts";
import { padShape, type Shape, sizeOf, stridesOf } from "../../graph/shape.ts";
import { elementAt, offsetOf, storageOf } from "../../plan/operands.ts";
import type { PlanRequest } from "../../plan/plan.ts";
import { ARRAYS } from "../arrays.ts";
import type { ImmediateBackend, ImmediateSession, Run } from "../backend.ts";
import { checkLength, closedSession, withoutValue } from "../checks.ts";

type Precision = "float64" | "float32";

/** The reference interpreter: `float64` to define what is right, `float32` to see what single precision costs. */
export const reference = (precision: Precision = "float64"): ImmediateBackend => ({
  name: "reference",
  open: () => openSession(precision),
});

function openSession(precision: Precision): ImmediateSession {
  const variables = new Map<Node, AnyArray>();
  let closed = false;

  const valueAt = (variable: Node): AnyArray => {
    const value = variables.get(variable);
    if (!value) throw withoutValue(variable, closed);
    return value;
  };

  const write = (variable: Node, values: AnyArray | readonly number[]): void => {
    if (closed) throw closedSession();
    checkLength(variable, values);
    const array = newArray(variable, precision);
    array.set(values);
    variables.set(variable, array);
  };

  const run = (
    { inputs: asked, outputs: wanted, updates = [], guard }: PlanRequest,
    nodes: readonly Node[],
    inputs: readonly AnyArray[],
    count: number,
  ): Run => {
    if (closed) throw closedSession();
    for (const [i, node] of asked.entries()) checkLength(node, inputs[i], count);
    const outputs = wanted.map((node) => newArray(node, precision, count));
    for (let completed = 0; completed < count; completed++) {
      const given = new Map(
        asked.map((node, i) => {
          const array = newArray(node, precision);
          array.set(inputs[i].subarray(completed * array.length, (completed + 1) * array.length));
          return [node, array];
        }),
      );
      const values = evaluate(nodes, precision, (leaf) => given.get(leaf) ?? valueAt(leaf));
      if (guard && !Number.isFinite(values(guard)[0])) return { outputs, completed, threads: 1 };
      for (const [i, node] of wanted.entries()) outputs[i].set(values(node), completed * sizeOf(node.shape));
      const next = updates.map(({ value }) => values(value));
      for (const [i, { variable }] of updates.entries()) write(variable, next[i]);
    }
    return { outputs, completed: count, threads: 1 };
  };

  return {
    description: `reference, ${precision}`,
    get usedBytes() {
      return [...variables.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    },
    write,
    read: (variable) => valueAt(variable).slice(),
    free: (variable) => void variables.delete(variable),
    close() {
      closed = true;
      variables.clear();
    },
    compile: ({ request }) => {
      const { outputs, updates = [], guard } = request;
      const nodes = topologicalOrder([...outputs, ...updates.map(({ value }) => value), ...(guard ? [guard] : [])]);
      return { run: (inputs, count = 1) => run(request, nodes, inputs, count), free() {} };
    },
  };
}

const newArray = ({ dtype, shape }: Node, precision: Precision, count = 1): AnyArray =>
  new (dtype === "float" && precision === "float64" ? Float64Array : ARRAYS[dtype])(sizeOf(shape) * count);

/** What composite nodes are made of, made when it is first needed. */
const parts = new WeakMap<Node, Node>();

function partsOf(node: Node): Node {
  const { meaning } = node.op;
  if (meaning.kind !== "composite") return node;
  let made = parts.get(node);
  if (!made) {
    made = meaning.lower(node.inputs, node.attributes as never);
    parts.set(node, made);
  }
  return made;
}

/**
 * Computes nodes in the given order, leaves left out or not.
 * @returns a function that gives the elements of any node that was computed, and of any leaf
 */
export function evaluate(
  nodes: readonly Node[],
  precision: Precision,
  valueOfLeaf: (leaf: Node) => AnyArray,
): (node: Node) => AnyArray {
  const values = new Map<Node, AnyArray>();

  const valueAt = (node: Node): AnyArray => {
    const whole = baseValue(storageOf(node));
    const [offset, size] = [offsetOf(node), sizeOf(node.shape)];
    return size === whole.length ? whole : whole.subarray(offset, offset + size);
  };

  const baseValue = (base: Node): AnyArray => {
    const known = values.get(base);
    if (known) return known;
    const fill = fillValue(base);
    const array =
      fill === undefined ? (constantArray(base) ?? valueOfLeaf(base)) : newArray(base, precision).fill(fill);
    values.set(base, array);
    return array;
  };

  const compute = (node: Node): void => {
    const { meaning } = node.op;
    if (meaning.kind === "leaf" || meaning.kind === "view") return;
    if (meaning.kind === "composite") {
      const made = partsOf(node);
      for (const part of topologicalOrder([made], (x) => values.has(x) || node.inputs.includes(x))) compute(part);
      values.set(node, valueAt(made));
      return;
    }
    const y = newArray(node, precision);
    if (meaning.kind === "loop") {
      goRound(meaning.turns(node.attributes as never), node.inputs.map(valueAt), y, precision);
      values.set(node, y);
      return;
    }
    const inputs = node.inputs.map((x): Tensor => ({ shape: x.shape, data: valueAt(x) }));
    if (meaning.kind === "elementwise") {
      const scalar = meaning.scalar(node.attributes as never, ...node.inputs.map((_, i) => inputScalar(i)));
      mapElements(compileScalar(scalar), inputs, node.shape, y as FloatArray);
    } else {
      meaning.reference(inputs, { shape: node.shape, data: y }, node.attributes as never);
    }
    values.set(node, y);
  };
  for (const node of nodes) compute(node);
  return valueAt;
}

/** Does the turns of a loop, whose operands' elements are given. */
function goRound(turns: Turns, operands: readonly AnyArray[], own: AnyArray, precision: Precision): void {
  const { length, results, places, before, after } = turns;
  const work = new (precision === "float64" ? Float64Array : Float32Array)(turns.work);
  const partAt = (leaf: Node, turn: number): AnyArray => {
    const place = places.get(leaf)!;
    const array = place.array === "own" ? own : place.array === "work" ? work : operands[place.array];
    const begin = elementAt(place, turn);
    return array.subarray(begin, begin + sizeOf(leaf.shape));
  };
  for (const { operand, leaf } of before) partAt(leaf, 0).set(operands[operand]);
  const nodes = topologicalOrder(results.map(({ value }) => value));
  for (let turn = 0; turn < length; turn++) {
    const value = evaluate(nodes, precision, (leaf) => partAt(leaf, turn));
    for (const result of results) partAt(result.variable, turn).set(value(result.value));
  }
  for (const { leaf, offset } of after) own.set(partAt(leaf, length), offset);
}

/** Applies a function to the elements of operands that broadcast to `shape`. */
function mapElements(
  f: (x: readonly number[]) => number,
  inputs: readonly Tensor[],
  shape: Shape,
  y: FloatArray,
): void {
  const steps = inputs.map((x) => {
    const padded = padShape(x.shape, shape.length);
    return stridesOf(padded).map((stride, axis) => (padded[axis] === 1 ? 0 : stride));
  });
  const operands = new Array<number>(inputs.length);
  let position = 0;
  const walk = (axis: number, offsets: readonly number[]): void => {
    if (axis === shape.length) {
      for (let i = 0; i < inputs.length; i++) operands[i] = inputs[i].data[offsets[i]];
      y[position++] = f(operands);
      return;
    }
    const here = [...offsets];
    for (let k = 0; k < shape[axis]; k++) {
      walk(axis + 1, here);
      for (let i = 0; i < here.length; i++) here[i] += steps[i][axis];
    }
  };
  walk(
    0,
    inputs.map(() => 0),
  );
}
