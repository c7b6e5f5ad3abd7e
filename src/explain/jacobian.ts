/**
 * Single factors of the chain rule: ∂u/∂v between neighbouring named arrays of the step, element by element. They come
 * from the ops' own derivatives: a row of ∂u/∂v is a backward pass from one element of u; a column is the derivative of
 * that backward pass with respect to what it is given, since ∂/∂d (dᵀJ t) = J t.
 */
import { input } from "../graph/leaf.ts";
import { type Node, withInputs } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { type Shape, sameShape, sizeOf } from "../graph/shape.ts";
import { gradientsOf, mul, sum } from "../ops/index.ts";
import type { Stop } from "./named-arrays.ts";
import { Values } from "./node-values.ts";
import type { Opened } from "./opened-step.ts";

/** The part of the graph between one stop and those it is computed from directly. */
interface Cut {
  /** A copy of the stop's node, over leaves in place of other stops. */
  readonly result: Node;
  readonly leaves: ReadonlyMap<Stop, Node>;
}

/** The derivative of one stop with respect to a direct predecessor. */
interface Link {
  /** What the backward pass is given, and what it gives: dx = Jᵀ dy. */
  readonly dy: Node;
  readonly dx: Node;
  /** What goes forward, and what comes of it: J t. */
  readonly tangent: Node;
  readonly product: Node;
  readonly diagonal: boolean;
}

export class Jacobians {
  readonly #opened: Opened;
  readonly #stopOf: ReadonlyMap<Node, Stop>;
  readonly #cuts = new Map<Stop, Cut>();
  readonly #links = new Map<Stop, Map<Stop, Link>>();
  readonly #uses = new Map<Stop, Stop[]>();

  constructor(opened: Opened) {
    this.#opened = opened;
    this.#stopOf = new Map(opened.stops.map((stop) => [stop.node, stop]));
    for (const stop of opened.stops) {
      for (const from of this.cut(stop).leaves.keys()) this.#uses.set(from, [...(this.#uses.get(from) ?? []), stop]);
    }
  }

  /** The stops that are computed directly from this one. */
  usesOf(stop: Stop): readonly Stop[] {
    return this.#uses.get(stop) ?? [];
  }

  /** The stop's own computation, from the stops before it. */
  cut(stop: Stop): Cut {
    const known = this.#cuts.get(stop);
    if (known) return known;
    const leaves = new Map<Stop, Node>();
    const copies = new Map<Node, Node>();
    const copy = (node: Node): Node => {
      const done = copies.get(node);
      if (done) return done;
      const other = this.#stopOf.get(node);
      let result = node;
      if (other && other !== stop) {
        result = input(other.name, node.shape, node.dtype);
        leaves.set(other, result);
      } else if (node.inputs.length > 0) {
        const inputs = node.inputs.map(copy);
        if (inputs.some((x, i) => x !== node.inputs[i])) result = withInputs(node, inputs);
      }
      copies.set(node, result);
      return result;
    };
    const cut = { result: copy(stop.node), leaves };
    this.#cuts.set(stop, cut);
    return cut;
  }

  #link(to: Stop, from: Stop): Link {
    let links = this.#links.get(to);
    if (!links) {
      links = new Map();
      this.#links.set(to, links);
    }
    let link = links.get(from);
    if (!link) {
      const { result, leaves } = this.cut(to);
      const leaf = leaves.get(from)!;
      const dy = input("dy", result.shape);
      const [dx] = gradientsOf(result, [leaf], dy);
      const tangent = input("t", leaf.shape);
      const [product] = gradientsOf(sum(mul(dx, tangent)), [dy]);
      link = { dy, dx, tangent, product, diagonal: isDiagonal(result, leaf) };
      links.set(from, link);
    }
    return link;
  }

  #evaluate(to: Stop, node: Node, given: ReadonlyMap<Node, AnyArray>): AnyArray {
    const stops = new Map([...this.cut(to).leaves].map(([stop, leaf]) => [leaf, stop.node]));
    const values = new Values((leaf) => {
      const stop = stops.get(leaf);
      return given.get(leaf) ?? this.#opened.values.get(stop ?? leaf);
    });
    return values.get(node);
  }

  /** ∂to[element]/∂from, in the shape of `from`. */
  row(to: Stop, element: number, from: Stop): AnyArray {
    const { dy, dx } = this.#link(to, from);
    return this.#evaluate(to, dx, new Map([[dy, oneHot(dy.shape, element)]]));
  }

  /** ∂to/∂from[element], in the shape of `to`. */
  column(to: Stop, from: Stop, element: number): AnyArray {
    const { tangent, product, dy } = this.#link(to, from);
    const given = new Map<Node, AnyArray>([
      [tangent, oneHot(tangent.shape, element)],
      // The product does not depend on dy, but where an op is not smooth its derivative mentions it.
      [dy, new Float64Array(sizeOf(dy.shape))],
    ]);
    return this.#evaluate(to, product, given);
  }

  /** Whether to[i] depends on from[i] alone, as an activation does. */
  isDiagonal(to: Stop, from: Stop): boolean {
    return this.#link(to, from).diagonal;
  }

  /** ∂to[i]/∂from[i] for every i, where that is all there is. */
  diagonal(to: Stop, from: Stop): AnyArray {
    const { dy, dx } = this.#link(to, from);
    return this.#evaluate(to, dx, new Map([[dy, new Float64Array(sizeOf(dy.shape)).fill(1)]]));
  }
}

function oneHot(shape: Shape, element: number): Float64Array {
  const array = new Float64Array(sizeOf(shape));
  array[element] = 1;
  return array;
}

/** Whether every path from `leaf` to `result` goes element by element through arrays of one shape. */
function isDiagonal(result: Node, leaf: Node): boolean {
  if (!sameShape(result.shape, leaf.shape)) return false;
  const depends = new Map<Node, boolean>([[leaf, true]]);
  let diagonal = true;
  const visit = (node: Node): boolean => {
    const known = depends.get(node);
    if (known !== undefined) return known;
    const found = node.inputs.map(visit).some((x) => x);
    if (found && (node.op.meaning.kind !== "elementwise" || !sameShape(node.shape, leaf.shape))) diagonal = false;
    depends.set(node, found);
    return found;
  };
  return visit(result) && diagonal;
}
