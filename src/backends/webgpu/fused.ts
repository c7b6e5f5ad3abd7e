/**
 * The elementwise part of a step, written at one place of its space: loads the operands there, computes, stores what
 * others need. Kernels call it where their result is still in registers.
 */
import { fillValue } from "../../graph/leaf.ts";
import type { Node } from "../../graph/node.ts";
import { inputScalar } from "../../graph/scalar.ts";
import { padShape, type Shape, sizeOf, stridesOf } from "../../graph/shape.ts";
import { patternOf } from "../../plan/operands.ts";
import type { Step } from "../../plan/plan.ts";
import type { KernelContext, Writer } from "./kernel.ts";
import { literal } from "./math.ts";
import { renderScalar } from "./scalar.ts";

/** Where the elementwise part is computed: numbers of elements, as WGSL. */
export interface Spot {
  /** In arrays of the step's whole space. */
  readonly full: string;
  /** In an operand of this shape. */
  locate(shape: Shape): string;
}

/** A spot in a space of rows and columns. */
export const spotInRows = (
  { space, split }: Step,
  at: { readonly full: string; readonly row: string; readonly column: string },
): Spot => ({
  full: at.full,
  locate: (shape) =>
    ({ full: at.full, perColumn: at.column, perRow: at.row, scalar: "0u" })[patternOf(shape, space, split)!],
});

/** A spot anywhere: element `i` of the space, with operands that broadcast to it. */
export const spotAnywhere = (space: Shape, i: string): Spot => ({
  full: i,
  locate: (shape) => within(shape, space, i),
});

/** The number of the element, in an array of `shape` that broadcasts to `space`, under element i of the space. */
export function within(shape: Shape, space: Shape, i: string): string {
  const own = padShape(shape, space.length);
  const [strides, inner] = [stridesOf(own), stridesOf(space)];
  const terms: string[] = [];
  for (let end = space.length; end > 0; ) {
    // Neighbouring axes along which the array varies, or none, are one axis.
    const varies = own[end - 1] > 1;
    let begin = end - 1;
    while (begin > 0 && (own[begin - 1] > 1 === varies || space[begin - 1] === 1)) begin--;
    if (varies) {
      const step = inner[end - 1];
      const over = step === 1 ? i : `${i} / ${step}u`;
      const wrapped = begin === 0 ? over : `${over} % ${sizeOf(space.slice(begin, end))}u`;
      const stride = strides[end - 1];
      terms.push(stride === 1 ? wrapped : `(${wrapped}) * ${stride}u`);
    }
    end = begin;
  }
  return terms.length === 0 ? "0u" : terms.join(" + ");
}

/** An element of a node as a float; bytes and integers are converted. */
export function load(node: Node, index: string, { base, word }: KernelContext): string {
  if (node.dtype === "byte")
    return `f32((${word(`${base(node)} + (${index}) / 4u`)} >> ((${index}) % 4u * 8u)) & 255u)`;
  const bits = word(`${base(node)} + ${index}`);
  return node.dtype === "int" ? `f32(bitcast<i32>(${bits}))` : `bitcast<f32>(${bits})`;
}

/** Four neighbouring floats, where memory consists of vectors and the node begins with one. */
export const loadFour = (node: Node, index: string, { base }: KernelContext): string =>
  `bitcast<vec4<f32>>(m[(${base(node)} + ${index}) >> 2u])`;

/** Stores words of a node; in a variable only while no guard has stopped the run. */
export function storeWord(writer: Writer, node: Node, index: string, word: string, context: KernelContext): void {
  const store = `${context.word(`${context.base(node)} + ${index}`)} = ${word};`;
  writer.emit(context.isLasting(node) ? `if (status.stopped == 0u) { ${store} }` : store);
}

export const storeFloat = (writer: Writer, node: Node, index: string, value: string, context: KernelContext): void =>
  storeWord(writer, node, index, `bitcast<u32>(${value})`, context);

/**
 * Computes the elementwise nodes of a step at a spot and stores those that are needed elsewhere.
 * @param root the value of the step's structural op there
 * @returns the value of any node of the step, or operand of it, there
 */
export function emitFused(
  writer: Writer,
  { root, elementwise, writes }: Step,
  context: KernelContext,
  spot: Spot,
  rootValue?: string,
): (node: Node) => string {
  const values = new Map<Node, string>();
  const valueAt = (x: Node): string => {
    let value = values.get(x);
    if (value === undefined) {
      const fill = fillValue(x);
      value =
        fill === undefined
          ? writer.name(load(x, writer.name(spot.locate(x.shape)), context))
          : fill < 0
            ? `(${literal(fill)})`
            : literal(fill);
      values.set(x, value);
    }
    return value;
  };
  const finish = (node: Node, value: string): void => {
    values.set(node, value);
    if (writes.includes(node)) storeFloat(writer, node, spot.full, value, context);
  };
  if (root && rootValue !== undefined) finish(root, writer.name(rootValue));
  // Operands are loaded before anything is stored: an array may be both.
  for (const node of elementwise) for (const x of node.inputs) if (!elementwise.includes(x) && x !== root) valueAt(x);
  for (const node of elementwise) {
    const { meaning } = node.op;
    if (meaning.kind !== "elementwise") continue;
    const scalar = meaning.scalar(node.attributes as never, ...node.inputs.map((_, i) => inputScalar(i)));
    finish(node, writer.name(renderScalar(scalar, node.inputs.map(valueAt), (value) => writer.name(value))));
  }
  return valueAt;
}
