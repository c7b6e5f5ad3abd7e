/**
 * A loop over time: `scan` goes through sequences place by place with states, and what it does at a place is a graph of its own,
 * planned and compiled once for all places. Its backward pass is a scan in the other direction, over the same places. Of weights
 * the gradients are not added up turn by turn where one product over all turns gives them.
 */
import { checkOptionNames, checkWhole } from "../checks.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { Body } from "../graph/body.ts";
import { pullBack } from "../graph/grad.ts";
import { constant, fillValue, variable } from "../graph/leaf.ts";
import { type Node, named, nameOf, topologicalOrder, withInputs } from "../graph/node.ts";
import { type AboutOps, applyOp, defineOp, type Op } from "../graph/op.ts";
import { uniform } from "../graph/samples.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../graph/shape.ts";
import { add, mul } from "./arithmetic.ts";
import { reshape, sum } from "./broadcast.ts";
import { tanh } from "./functions.ts";
import { matmul } from "./matmul.ts";
import { blocksAt, part } from "./part.ts";
import { inPath, layoutOf, type Result, type ScanAttributes, trimScan, turnsOf } from "./scan-turns.ts";
import { concat, slice } from "./shape.ts";

const scanOp: Op<ScanAttributes> = defineOp<ScanAttributes>({
  name: "scan",
  meaning: { kind: "loop", turns: turnsOf, trim: trimScan, unroll: writtenOut },
  shape: (inputs, attributes) => {
    const { body, length } = attributes;
    const wanted = [
      ...body.sequences.map(({ shape }) => [length, ...shape]),
      ...[...body.states, ...body.constants].map(({ shape }) => shape),
    ];
    if (inputs.length !== wanted.length || !inputs.every((x, i) => sameShape(x.shape, wanted[i])))
      throw new ShapeError(
        `scan: operands of shapes ${inputs.map((x) => showShape(x.shape)).join(", ")} came; ${wanted.map(showShape).join(", ")} were wanted.`,
      );
    return { shape: [layoutOf(attributes).elements], dtype: "float" };
  },
  backward: ({ inputs, attributes, y, dy }) => backwardScan(inputs, attributes, y, dy),
});

/** What a scan is made of: its leaves, each with the operand that it stands for, and what a turn computes of them. */
interface Making {
  readonly sequences: ReadonlyMap<Node, Node>;
  readonly states: ReadonlyMap<Node, Node>;
  /** Nodes that stand for others outside. */
  readonly outside: ReadonlyMap<Node, Node>;
  readonly next: readonly Node[];
  readonly outputs: readonly Node[];
  readonly length: number;
  readonly reverse: boolean;
  readonly recompute: boolean;
}

/** A scan, and its results by what they are results of. */
interface Made {
  /** The state of number s after the last turn. */
  last(s: number): Node;
  /** A node of the body, or a leaf of it that varies, in all turns: [T, …]. */
  all(node: Node): Node;
}

/** Which of the nodes that lead to `outputs` differ from turn to turn. */
function varying(outputs: readonly Node[], leaves: (node: Node) => boolean): Set<Node> {
  const varies = new Set<Node>();
  for (const node of topologicalOrder(outputs))
    if (leaves(node) || node.inputs.some((x) => varies.has(x))) varies.add(node);
  return varies;
}

/** Makes a body of what differs from turn to turn; what does not stays outside, and is an operand. */
function makeScan({ sequences, states, outside, next, outputs, length, reverse, recompute }: Making): Made {
  const isLeaf = (node: Node): boolean => sequences.has(node) || states.has(node);
  const results = [...next, ...outputs];
  const inner = new Map<Node, Node>();
  const outer = new Map<Node, Node>(outside);
  const constants = new Map<Node, Node>();
  for (const leaf of [...sequences.keys(), ...states.keys()])
    inner.set(leaf, variable(nameOf(leaf), leaf.shape, leaf.dtype));
  const outsideOf = (node: Node): Node => outer.get(node) ?? node;
  const insideOf = (node: Node): Node => {
    const known = inner.get(node);
    if (known || fillValue(node) !== undefined) return known ?? node;
    const operand = outsideOf(node);
    const leaf = variable(nameOf(operand), operand.shape, operand.dtype);
    inner.set(node, leaf);
    constants.set(leaf, operand);
    return leaf;
  };
  const over = (node: Node, other: (x: Node) => Node): Node => {
    const inputs = node.inputs.map(other);
    return inputs.every((x, i) => x === node.inputs[i]) ? node : withInputs(node, inputs);
  };
  const known = (node: Node): boolean => isLeaf(node) || outer.has(node);
  const varies = new Set<Node>();
  for (const node of topologicalOrder(results, known)) {
    if (node.inputs.some((x) => varies.has(x) || isLeaf(x))) {
      varies.add(node);
      inner.set(node, over(node, insideOf));
    } else if (node.inputs.length > 0) outer.set(node, over(node, outsideOf));
  }
  // Every node of the body may be wanted by the backward pass; what is not read is not kept.
  const kept = [...new Set([...outputs, ...varies])].filter((node) => !next.includes(node) && !isLeaf(node));
  const attributes: ScanAttributes = {
    body: new Body({
      sequences: [...sequences.keys()].map(insideOf),
      states: [...states.keys()].map(insideOf),
      next: next.map(insideOf),
      outputs: kept.filter(({ dtype }) => dtype !== "byte").map(insideOf),
      constants: [...constants.keys()],
    }),
    length,
    reverse,
    recompute,
  };
  const operands = [...sequences.values(), ...states.values(), ...constants.values()];
  const made = applyOp(scanOp, operands, attributes);
  return {
    last: (s) => lastOf(made, attributes, s),
    all: (node) => sequences.get(node) ?? stackOf(made, attributes, inner.get(node) ?? node),
  };
}

const offsetOf = (attributes: ScanAttributes, result: Result): number => layoutOf(attributes).offsets.get(result)!;

const lastOf = (made: Node, attributes: ScanAttributes, s: number): Node =>
  part(made, offsetOf(attributes, `last.${s}`), attributes.body.states[s].shape);

/** Where a node of the body lies in all turns: [T, …] from an element of the scan on. */
function placeOf(attributes: ScanAttributes, node: Node): number {
  const { body, reverse } = attributes;
  const [n, s] = [body.next.indexOf(node), body.states.indexOf(node)];
  if (n >= 0) return offsetOf(attributes, `path.${n}`) + inPath(body.states[n], reverse).after;
  if (s >= 0) return offsetOf(attributes, `path.${s}`) + inPath(node, reverse).before;
  return offsetOf(attributes, `stack.${body.outputs.indexOf(node)}`);
}

const stackOf = (made: Node, attributes: ScanAttributes, node: Node): Node =>
  part(made, placeOf(attributes, node), [attributes.length, ...node.shape], node.dtype);

/** Row t of [T, …]. */
const rowOf = (x: Node, t: number): Node => {
  const shape = x.shape.slice(1);
  return reshape(
    slice(
      x,
      x.shape.map((_, axis) => (axis === 0 ? t : 0)),
      [1, ...shape],
    ),
    shape,
  );
};

/** The same without a loop: each turn's nodes are written out, and the results put one after the other. */
function writtenOut(inputs: readonly Node[], attributes: ScanAttributes): Node {
  const { body, length, reverse } = attributes;
  const { sequences, constants, next, outputs } = body;
  const { offsets, elements } = layoutOf(attributes);
  let states = inputs.slice(sequences.length, sequences.length + body.states.length);
  const path: (readonly Node[])[] = [];
  const stacks: (readonly Node[])[] = [];
  const order = topologicalOrder([...next, ...outputs.filter((_, o) => offsets.has(`stack.${o}`))]);
  path[reverse ? length : 0] = states;
  for (let i = 0; i < length; i++) {
    const t = reverse ? length - 1 - i : i;
    const here = new Map<Node, Node>([
      ...sequences.map((leaf, q) => [leaf, rowOf(inputs[q], t)] as const),
      ...body.states.map((leaf, s) => [leaf, states[s]] as const),
      ...constants.map((leaf, c) => [leaf, inputs[sequences.length + body.states.length + c]] as const),
    ]);
    for (const node of order) {
      if (here.has(node)) continue;
      const own = node.inputs.map((x) => here.get(x)!);
      here.set(node, own.some((x, k) => x !== node.inputs[k]) ? withInputs(node, own) : node);
    }
    states = next.map((node) => here.get(node)!);
    path[reverse ? t : t + 1] = states;
    // What nobody wants is not there.
    stacks[t] = outputs.map((output) => here.get(output)!);
  }
  const flat = (nodes: readonly Node[]): Node => {
    const rows = nodes.map((node) => reshape(node, [sizeOf(node.shape)]));
    return rows.length === 1 ? rows[0] : concat(rows, 0);
  };
  const pieces: Node[] = [];
  let end = 0;
  const fill = (to: number): void => {
    if (to > end) pieces.push(constant(0, [to - end]));
  };
  for (const [result, offset] of offsets) {
    const [kind, number] = result.split(".");
    const of = (list: readonly (readonly Node[])[]): Node[] => list.map((row) => row[Number(number)]);
    const nodes = kind === "last" ? [states[Number(number)]] : of(kind === "path" ? path : stacks);
    fill(offset);
    const piece = flat(nodes);
    pieces.push(piece);
    end = offset + sizeOf(piece.shape);
  }
  fill(elements);
  return pieces.length === 1 ? pieces[0] : concat(pieces, 0);
}

/** The sum of two that may be missing. */
const plus = (a: Node | undefined, b: Node | undefined): Node | undefined => (a && b ? add(a, b) : (a ?? b));

/** ∂L/∂operand of a scan: another scan, over the same places the other way round. */
function backwardScan(
  inputs: readonly Node[],
  attributes: ScanAttributes,
  y: Node,
  dy: Node,
): readonly (Node | undefined)[] {
  const { body, length, reverse, recompute } = attributes;
  const [Q, S] = [body.sequences.length, body.states.length];
  /** ∂L/∂ what lies in the scan's array from an element on, where something came of it. */
  const gradientAt = (offset: number, shape: Shape): Node | undefined => {
    const blocks = blocksAt(dy, offset);
    if (!blocks) return part(dy, offset, shape);
    return blocks.length > 0 ? blocks.reduce((a, b) => add(a, b)) : undefined;
  };

  // The states of the backward turns are the gradients of the states; what comes from outside is added place by place.
  const sequences = new Map<Node, Node>();
  const fromOutside = (name: string, stack: Node | undefined): Node | undefined => {
    if (!stack) return undefined;
    const leaf = variable(name, stack.shape.slice(1));
    sequences.set(leaf, stack);
    return leaf;
  };
  const dNext = body.states.map((state) => variable(`d ${nameOf(state)}`, state.shape));
  const seeds: (readonly [Node, Node])[] = [];
  const dBefore: (Node | undefined)[] = [];
  const dFirst: (Node | undefined)[] = [];
  for (const [s, state] of body.states.entries()) {
    const path = offsetOf(attributes, `path.${s}`);
    const at = inPath(state, reverse);
    const after = gradientAt(path + at.after, [length, ...state.shape]);
    seeds.push([body.next[s], plus(dNext[s], fromOutside(`d ${nameOf(body.next[s])}`, after))!]);
    const isBlocks = blocksAt(dy, 0) !== undefined;
    const before = isBlocks ? gradientAt(path + at.before, [length, ...state.shape]) : undefined;
    dBefore.push(fromOutside(`d ${nameOf(state)} before`, before));
    // Of an array that is no sum of blocks the state before the first turn has its own part.
    dFirst.push(isBlocks ? undefined : gradientAt(path + (reverse ? length * sizeOf(state.shape) : 0), state.shape));
  }
  for (const [o, output] of body.outputs.entries()) {
    const stack = gradientAt(offsetOf(attributes, `stack.${o}`), [length, ...output.shape]);
    if (stack && output.dtype === "float") seeds.push([output, fromOutside(`d ${nameOf(output)}`, stack)!]);
  }

  const wrt = [...body.states, ...body.sequences, ...body.constants];
  const found = pullBack({ add, fill: (value, like) => constant(value, like.shape) }, seeds, wrt).map((gradient, i) =>
    wrt[i].dtype === "float" ? gradient : undefined,
  );
  const [dStates, dSequences, dConstants] = [found.slice(0, S), found.slice(S, S + Q), found.slice(S + Q)];
  const next = body.states.map((state, s) => plus(dStates[s], dBefore[s]) ?? constant(0, state.shape));

  // Of the forward turns it takes what they kept; where it shall compute that anew, their states and sequences alone.
  const kept = recompute ? [] : [...body.next, ...body.outputs];
  const forward = new Set([...body.states, ...body.sequences, ...kept.filter((x) => !body.constants.includes(x))]);
  const outside = new Map(body.constants.map((leaf, c) => [leaf, inputs[Q + S + c]] as const));
  const results = [...next, ...found.filter((node) => node !== undefined)];
  const seen = topologicalOrder(results, (node) => forward.has(node) || outside.has(node));
  for (const node of [...seen.flatMap(({ inputs }) => inputs), ...results]) {
    if (!forward.has(node) || sequences.has(node)) continue;
    const q = body.sequences.indexOf(node);
    sequences.set(node, q >= 0 ? inputs[q] : stackOf(y, attributes, node));
  }

  const states = new Map<Node, Node>(
    dNext.map((leaf, s) => [
      leaf,
      gradientAt(offsetOf(attributes, `last.${s}`), leaf.shape) ?? constant(0, leaf.shape),
    ]),
  );
  const varies = varying(results, (node) => sequences.has(node) || states.has(node));
  const sums = dConstants.map((gradient) => gradient && sumOverTurns(gradient, (node) => varies.has(node)));
  // What cannot be summed in one go is added up: a state that begins as zeros.
  for (const [c, gradient] of dConstants.entries()) {
    if (!gradient || sums[c]) continue;
    const sofar = variable(`Σ d ${nameOf(body.constants[c])}`, gradient.shape);
    states.set(sofar, constant(0, gradient.shape));
    next.push(add(sofar, gradient));
    const place = next.length - 1;
    sums[c] = { of: [], sum: () => back.last(place) };
  }
  const outputs = [...dSequences.filter((node) => node !== undefined), ...sums.flatMap((each) => each?.of ?? [])];
  const back = makeScan({ sequences, states, outside, next, outputs, length, reverse: !reverse, recompute });
  return [
    ...dSequences.map((gradient) => gradient && back.all(gradient)),
    ...body.states.map((_, s) => plus(back.last(s), dFirst[s])),
    ...sums.map((each) => each?.sum(back.all)),
  ];
}

/** A sum over all turns that one op gives, of what it needs of each turn. */
interface SumOverTurns {
  readonly of: readonly Node[];
  sum(all: (node: Node) => Node): Node;
}

/** The sum over the turns of a node, where it is a product or a sum whose own sum may as well go over the turns; else undefined. */
function sumOverTurns(node: Node, varies: (x: Node) => boolean): SumOverTurns | undefined {
  const { op, inputs, attributes, shape } = node;
  const [a, b] = inputs;
  if (!inputs.every(varies)) return undefined;
  /** [T, K, N] as [T · K, N]. */
  const joined = (x: Node): Node => reshape(x, [-1, x.shape[x.shape.length - 1]]);
  if (op.name === "matmul" && shape.length === 2 && attributes.transposeA && !attributes.transposeB)
    // Σₜ aₜᵀ bₜ = aᵀ b, with the rows of all turns one below the other.
    return { of: [a, b], sum: (all) => matmul(joined(all(a)), joined(all(b)), { transposeA: true }) };
  if (op.name === "sum") {
    const { from, to } = attributes as { from: number; to: number };
    const axes = Array.from({ length: to - from }, (_, i) => from + 1 + i);
    return { of: [a], sum: (all) => sum(all(a), [0, ...axes]) };
  }
  if (op.name === "reshape") {
    const inner = sumOverTurns(a, varies);
    return inner && { of: inner.of, sum: (all) => reshape(inner.sum(all), shape) };
  }
  if (op.name === "add" && sameShape(a.shape, shape) && sameShape(b.shape, shape)) {
    const [first, second] = [a, b].map((x) => sumOverTurns(x, varies));
    return first && second && { of: [...first.of, ...second.of], sum: (all) => add(first.sum(all), second.sum(all)) };
  }
  return undefined;
}

/** Options of `scan`. */
export interface ScanOptions {
  /** Whether to begin at the last place; false unless said. */
  readonly reverse?: boolean;
  /**
   * Whether the backward pass computes anew what it needs of each turn, from the states before it, which alone are kept: less
   * memory for more time; false unless said.
   */
  readonly recompute?: boolean;
  /** How many turns there are, where there are no sequences. */
  readonly length?: number;
}

/** What a turn of a `scan` gives: the states after it, and what else shall be had of all turns. */
export interface ScanTurn {
  readonly states: readonly Node[];
  readonly outputs?: readonly Node[];
}

/** What `scan` gives. */
export interface Scanned {
  /** The states after the last turn. */
  readonly states: readonly Node[];
  /** Each turn's outputs, [T, …], in the order of the places. */
  readonly outputs: readonly Node[];
}

/**
 * Goes through sequences [T, …] place by place: `turn` gets one place of each and the states before it, and gives the states after
 * it and what shall be had of each place. It is planned and compiled once, however long the sequences are; its gradient is a
 * loop too. Whatever else it uses is the same at all places.
 * @param sequences arrays of equal first length T
 * @param initial the states before the first turn
 * @throws ShapeError for sequences of different lengths, or states that do not keep their shapes
 *
 * @example
 * const runningSum = compile((x) => {
 *   const { outputs } = scan([x], [constant(0, [2])], ([row], [sofar]) => {
 *     const next = add(sofar, row);
 *     return { states: [next], outputs: [next] };
 *   });
 *   return outputs[0];
 * });
 * console.log(await runningSum(tensor([[1, 2], [3, 4]]))); // [[1, 2], [4, 6]]
 */
export function scan(
  sequences: readonly Node[],
  initial: readonly Node[],
  turn: (places: readonly Node[], states: readonly Node[]) => ScanTurn,
  options: ScanOptions = {},
): Scanned {
  checkOptionNames("scan", options, ["reverse", "recompute", "length"]);
  const { reverse = false, recompute = false, length = sequences[0]?.shape[0] } = options;
  checkWhole("scan: the number of turns, ", { length }, 1);
  if (!sequences.every(({ shape }) => shape[0] === length))
    throw new ShapeError(
      `scan: sequences of shapes ${sequences.map(({ shape }) => showShape(shape)).join(", ")} came; all need ${length} places.`,
    );
  const leafOf = (x: Node, shape: Shape): Node => named(variable(nameOf(x), shape, x.dtype), nameOf(x));
  const places = sequences.map((x) => leafOf(x, x.shape.slice(1)));
  const before = initial.map((x) => leafOf(x, x.shape));
  const { states, outputs = [] } = turn(places, before);
  if (states.length !== initial.length)
    throw new ArgumentError(
      `scan: a turn gets ${initial.length} states and must give as many; it gave ${states.length}.`,
    );
  for (const [s, next] of states.entries())
    if (!sameShape(next.shape, initial[s].shape) || next.dtype !== "float" || initial[s].dtype !== "float")
      throw new ShapeError(
        `scan: a state of shape ${showShape(initial[s].shape)} (${initial[s].dtype}) became one of ${showShape(next.shape)} (${next.dtype}). States are floats and keep their shapes.`,
      );
  const made = makeScan({
    sequences: new Map(places.map((leaf, q) => [leaf, sequences[q]])),
    states: new Map(before.map((leaf, s) => [leaf, initial[s]])),
    outside: new Map(),
    next: states,
    outputs,
    length,
    reverse,
    recompute,
  });
  return { states: states.map((_, s) => made.last(s)), outputs: outputs.map(made.all) };
}

/** A body for the tests: a state that a sequence and a matrix change. Its results fill their places, between which nothing is defined. */
function exampleBody(): Body {
  const [x, h, w] = [variable("x", [4, 4]), variable("h", [4, 4]), variable("w", [4, 4])];
  const scale = variable("scale", [4]);
  const next = tanh(add(matmul(h, w), mul(x, scale)));
  return new Body({
    sequences: [x],
    states: [h],
    constants: [w, scale],
    next: [next],
    outputs: [mul(next, x), sum(x, 1)],
  });
}

/** What is said of these ops, and what they are tried with: for about.ts, and in no bundle that only computes. */
export default (): AboutOps => ({
  scan: {
    explain: {
      forward: "stateₜ, outputₜ = turn(xₜ, stateₜ₋₁), for all places of a sequence",
      derivative: "∂L/∂stateₜ₋₁ from ∂L/∂stateₜ, from the last place to the first: another scan",
    },
    cases: [true, false].map((reverse) => ({
      inputs: [uniform(4, 4, 4), uniform(4, 4), uniform(4, 4), uniform(4)],
      attributes: { body: exampleBody(), length: 4, reverse, recompute: reverse },
    })),
  },
});
