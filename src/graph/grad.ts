/**
 * Reverse-mode differentiation: adds to the graph the nodes of ∂y/∂x, made of the same ops, by the chain rule from the
 * last node to the first. Each node's gradient is made once and reused; nothing is computed here.
 */
import { ShapeError } from "../errors.ts";
import { inPhase, type Node, topologicalOrder } from "./node.ts";
import { showShape } from "./shape.ts";

/** What differentiation needs of the ops: a one to begin with, a zero, and the sum of what comes over several paths. */
export interface Algebra {
  fill(value: number, like: Node): Node;
  add(a: Node, b: Node): Node;
}

/** As many nodes as there are to differentiate with respect to. */
export type Gradients<W extends readonly Node[]> = { -readonly [K in keyof W]: Node };

/**
 * The gradients of `y` (a scalar, unless `dy` is given) with respect to each node of `wrt`: nodes of the same shapes.
 * A node on which y does not depend has a gradient of zeros.
 */
export function gradients<const W extends readonly Node[]>(algebra: Algebra, y: Node, wrt: W, dy?: Node): Gradients<W> {
  if (!dy && y.shape.length > 0) {
    throw new ShapeError(
      `grad: the value to differentiate must be a scalar; it has shape ${showShape(y.shape)}. Reduce it with sum or mean, or give dy.`,
    );
  }
  const seed = dy ?? inPhase("backward", () => algebra.fill(1, y), y);
  const found = pullBack(algebra, [[y, seed]], wrt);
  return wrt.map((x, i) => found[i] ?? inPhase("backward", () => algebra.fill(0, x))) as Gradients<W>;
}

/** The same for any number of values y, each with its ∂L/∂y; undefined for nodes on which none of them depends. */
export function pullBack(
  algebra: Algebra,
  seeds: readonly (readonly [y: Node, dy: Node])[],
  wrt: readonly Node[],
): (Node | undefined)[] {
  const order = topologicalOrder(seeds.map(([y]) => y));
  const needed = new Set<Node>(wrt);
  for (const node of order) if (node.inputs.some((x) => needed.has(x))) needed.add(node);

  const gradient = new Map<Node, Node>();
  const add = (x: Node, dx: Node): void => {
    const sofar = gradient.get(x);
    gradient.set(x, sofar ? (sofar.op === dx.op && dx.op.join?.(sofar, dx)) || algebra.add(sofar, dx) : dx);
  };
  for (const [y, dy] of seeds) add(y, dy);
  for (const node of order.reverse()) {
    const { op, inputs, attributes } = node;
    const dNode = gradient.get(node);
    if (!dNode || !needed.has(node)) continue;
    inPhase(
      "backward",
      () => {
        for (const [i, dInput] of op.backward?.({ inputs, attributes, y: node, dy: dNode }).entries() ?? []) {
          const x = inputs[i];
          if (dInput && needed.has(x)) add(x, dInput);
        }
      },
      node,
    );
  }
  return wrt.map((x) => gradient.get(x));
}
