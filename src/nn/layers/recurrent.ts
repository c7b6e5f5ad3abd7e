/**
 * Recurrent layers: a state that goes from place to place of a sequence. The products with the inputs are one for all places; then
 * a loop goes over the places, each gate a product of the state with its own part of the recurrent kernel. Where each place shall be
 * seen, as in explanations, the places are written out one after the other.
 */
import { BELOW_1, checkNumbers, checkOptionNames, checkWhole } from "../../checks.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { constant } from "../../graph/leaf.ts";
import type { Node } from "../../graph/node.ts";
import { type Shape, showShape } from "../../graph/shape.ts";
import {
  add,
  concat,
  matmul,
  mul,
  reshape,
  scan,
  select,
  slice,
  stopGradient,
  sub,
  transpose,
} from "../../ops/index.ts";
import { activationNamed } from "../activations.ts";
import { type InitializerName, initializer } from "../initializers.ts";
import { defineLayer, type Layer, type LayerContext, type LayerOptions, type ParameterSpec } from "../layer.ts";
import { branches, type MergeName } from "./composite.ts";
import { dropped } from "./dropout.ts";

/** Options of recurrent layers. */
export interface RecurrentOptions extends LayerOptions {
  /** Whether to give the states of all places, [B, T, units], and not the last alone, [B, units]; false unless said. */
  readonly sequences?: boolean;
  /** Whether to go from the last place to the first; false unless said. */
  readonly backwards?: boolean;
  /** How the kernel begins; `glorotUniform` unless said. */
  readonly init?: InitializerName | number;
  /** How the recurrent kernel begins; `orthogonal` unless said. */
  readonly recurrentInit?: InitializerName | number;
  /** Whether to add biases; true unless said. */
  readonly bias?: boolean;
  /**
   * The share of the state's units that the products do not see in training, the same units at all places (Gal & Ghahramani,
   * 2016); 0 unless said.
   */
  readonly recurrentDropout?: number;
  /** After how many places the gradient is cut off (truncated backpropagation through time); it goes all the way unless said. */
  readonly truncate?: number;
  /**
   * Whether the backward pass computes each place anew from the state before it, instead of keeping its gates: about half the memory
   * for more time; false unless said.
   */
  readonly recompute?: boolean;
  /**
   * How many rows a training batch has where each goes on where the same row of the batch before ended: its states begin as those
   * were, and `resetStates` of the model makes them 0. At inference, and unless said, states begin as 0.
   */
  readonly stateful?: number;
}

const OPTIONS = [
  "sequences",
  "backwards",
  "init",
  "recurrentInit",
  "bias",
  "recurrentDropout",
  "truncate",
  "recompute",
  "stateful",
] as const;

/** What the sums of a cell go through. */
export interface CellActivations {
  /** The candidate's activation, and the cell's on its way out; `tanh` unless said. */
  readonly activation?: string;
  /** The gates'; `sigmoid` unless said. */
  readonly gateActivation?: string;
}

type Config = RecurrentOptions & CellActivations & { readonly units: number };

/** What a cell computes with, besides its state. */
interface CellParts {
  /** The product of the input with the kernel of gate i, and its bias: [B, H]. */
  readonly x: readonly Node[];
  /** The product of a state with the recurrent kernel of gate i. */
  recurrent(i: number, h: Node): Node;
  /** What gates go through, and what candidates do. */
  readonly gate: (z: Node) => Node;
  readonly activation: (z: Node) => Node;
  /** The bias of the recurrent product of gate i, where there is one. */
  readonly recurrentBias: readonly Node[];
  /** Gives the first step's gate a name. */
  name(node: Node, key: string): Node;
}

/** A kind of cell: its gates in the order in which the parameters have them, and its next states; the first is the output. */
interface Cell<C> {
  readonly gates: readonly string[];
  readonly states: readonly string[];
  next(config: C, parts: CellParts, states: readonly Node[]): Node[];
}

/** The part of gate number i of parameters that stand side by side along the last axis. */
const gatePart = (w: Node, i: number, units: number): Node => {
  const before = w.shape.slice(0, -1);
  return slice(w, [...before.map(() => 0), i * units], [...before, units]);
};

/** The parameters of a cell. */
function parametersOf(
  layer: string,
  { units, init = "glorotUniform", recurrentInit = "orthogonal", bias = true, stateful }: Config,
  { gates: { length: gates }, states }: Pick<Cell<never>, "gates" | "states">,
  input: Shape,
  biases: readonly (readonly [name: string, initial: (shape: Shape) => ArrayLike<number>])[],
): ParameterSpec[] {
  if (input.length !== 2)
    throw new ShapeError(
      `${layer} takes sequences, [places, features]; ${showShape(input)} came. Of single numbers make [places, 1], as with reshape([-1, 1]).`,
    );
  const orthogonal = initializer(recurrentInit);
  return [
    { name: "kernel", shape: [input[1], gates * units], init: initializer(init) },
    {
      name: "recurrentKernel",
      shape: [units, gates * units],
      // Each gate's part is drawn by itself.
      init: (shape, stream) => {
        const parts = Array.from({ length: gates }, () => orthogonal([units, units], stream));
        return Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => {
          const [row, column] = [Math.floor(i / shape[1]), i % shape[1]];
          return parts[Math.floor(column / units)][row * units + (column % units)];
        });
      },
    },
    ...(bias
      ? biases.map(([name, initial]) => ({
          name,
          shape: [gates * units],
          init: (shape: Shape) => Float32Array.from(initial(shape)),
        }))
      : []),
    ...(stateful
      ? states.map((name) => ({
          name,
          shape: [stateful, units],
          init: initializer(0),
          trainable: false,
          carried: true,
        }))
      : []),
  ];
}

/** Goes through a sequence with a cell. */
function goThrough<C extends Config>(cell: Cell<C>, config: C, context: LayerContext, secondBias: boolean): Node {
  const { x, parameter, memory, unrolled } = context;
  const { units, bias = true, sequences = false, backwards = false } = config;
  const { recurrentDropout = 0, truncate, recompute = false, stateful } = config;
  const [gate, activation] = [config.gateActivation ?? "sigmoid", config.activation ?? "tanh"].map(activationNamed);
  const [batch, length, features] = x.shape;
  const gates = cell.gates.length;
  const [kernel, recurrentKernel] = [parameter("kernel"), parameter("recurrentKernel")];
  const own = bias ? parameter("bias") : undefined;
  const other = bias && secondBias ? parameter("recurrentBias") : undefined;
  const part = (w: Node, i: number): Node => gatePart(w, i, units);

  // [T, B, I], so that a place's rows lie together; then one product for all places: [T, B, H] for each gate.
  const byPlace = reshape(transpose(x, [1, 0, 2]), [length * batch, features]);
  const fromInput = cell.gates.map((_, i) => {
    const z = matmul(byPlace, part(kernel, i));
    return reshape(own ? add(z, part(own, i)) : z, [length, batch, units]);
  });
  if (!memory) context.watch(fromInput[0]);
  const recurrentKernels = cell.gates.map((_, i) => part(recurrentKernel, i));
  const recurrentBias = other ? Array.from({ length: gates }, (_, i) => part(other, i)) : [];
  // The same units at all places: random numbers of the step, which every turn finds outside.
  const seen = dropped(constant(1, [batch, units]), recurrentDropout, context);
  const recurrent = (i: number, h: Node): Node => matmul(mul(h, seen), recurrentKernels[i]);
  const next = (x: readonly Node[], states: readonly Node[], name: CellParts["name"] = (node) => node): Node[] =>
    cell.next(config, { x, recurrent, recurrentBias, gate, activation, name }, states);
  const placeOf = (t: number): Node[] =>
    fromInput.map((z) => reshape(slice(z, [t, 0, 0], [1, batch, units]), [batch, units]));

  if (memory)
    return reshape(
      remembered(cell, context, [batch, units], (states) => next(placeOf(0), states)),
      [batch, 1, units],
    );
  const mask = context.maskOf(x);
  if (mask && sequences) context.setMask(mask);
  // [T, B, 1]. Where a place is padding, all states stay as they are.
  const counts = mask && reshape(transpose(mask, [1, 0]), [length, batch, 1]);
  const kept = (after: readonly Node[], before: readonly Node[], counts: Node | undefined): Node[] =>
    after.map((state, s) => (counts ? select(counts, state, before[s]) : state));
  const goesOn = stateful !== undefined && context.training;
  if (goesOn && stateful !== batch)
    throw new ArgumentError(
      `its states go on from batch to batch of ${stateful} rows; one of ${batch} came. Give batches of one size.`,
    );
  const initial = cell.states.map((name) => (goesOn ? context.parameter(name) : constant(0, [batch, units])));
  const goOn = (states: readonly Node[]): void => {
    if (goesOn) for (const [s, name] of cell.states.entries()) context.update(name, states[s]);
  };
  /** 1 at places before which the gradient is cut off. */
  const cuts =
    truncate && Float32Array.from({ length }, (_, t) => Number((backwards ? length - 1 - t : t) % truncate === 0));
  if (!unrolled) {
    const cut = cuts && constant(cuts, [length]);
    const along = [...fromInput, ...(counts ? [counts] : []), ...(cut ? [cut] : [])];
    const turn = (x: readonly Node[], given: readonly Node[]) => {
      const before = cut ? given.map((state) => select(x[along.length - 1], stopGradient(state), state)) : given;
      const states = kept(next(x.slice(0, gates), before), before, counts && x[gates]);
      return { states, outputs: [states[0]] };
    };
    const { states, outputs } = scan(along, initial, turn, { reverse: backwards, recompute });
    goOn(states);
    return sequences ? transpose(outputs[0], [1, 0, 2]) : states[0];
  }
  let states: readonly Node[] = initial;
  const outputs: Node[] = [];
  for (let i = 0; i < length; i++) {
    const t = backwards ? length - 1 - i : i;
    if (cuts && cuts[t] > 0) states = states.map((state) => stopGradient(state));
    const here = counts && reshape(slice(counts, [t, 0, 0], [1, batch, 1]), [batch, 1]);
    const after = next(placeOf(t), states, (node, key) => context.name(node, `${key}.${t + 1}`));
    states = kept(after, states, here);
    outputs[t] = states[0];
  }
  goOn(states);
  if (!sequences) return states[0];
  const rows = outputs.map((h) => reshape(h, [1, batch, units]));
  return transpose(rows.length === 1 ? rows[0] : concat(rows, 0), [1, 0, 2]);
}

/** One step from the states that are remembered to the next, which are. */
function remembered<C extends Config>(
  cell: Cell<C>,
  { memory }: LayerContext,
  shape: Shape,
  step: (states: readonly Node[]) => Node[],
): Node {
  const before: Node[] = [];
  let next: Node[] = [];
  const keep = (i: number): Node =>
    memory!.keep(cell.states[i], shape, (state) => {
      before[i] = state;
      if (i + 1 < cell.states.length) keep(i + 1);
      else next = step(before);
      return next[i];
    });
  return keep(0);
}

/** Goes on place by place only forwards, and with all states. */
function checkMemory(layer: string, { sequences = false, backwards = false }: Config, { memory }: LayerContext): void {
  if (memory && (backwards || !sequences))
    throw new ArgumentError(
      `${layer} goes on place by place only from the first place to the last, with the states of all: { sequences: true }.`,
    );
}

/** Makes a kind of recurrent layer. */
function defineRecurrent<C extends Config>(
  kind: string,
  options: readonly (keyof C & string)[],
  cell: Cell<C>,
  biases: (config: C) => readonly (readonly [name: string, initial: (shape: Shape) => ArrayLike<number>])[],
): (units: number, given?: Omit<C, "units">) => Layer {
  const make = defineLayer<C>(kind, {
    options: [...OPTIONS, ...options],
    masks: "takes",
    parameters: (config, input) => parametersOf(kind, config, cell, input, biases(config)),
    apply: (config, context) => {
      checkMemory(kind, config, context);
      const hasSecond = biases(config).length > 1;
      return goThrough(cell, config, context, hasSecond);
    },
    describe: ({ units, sequences = false, backwards = false }) =>
      `${units}${sequences ? ", all places" : ""}${backwards ? ", backwards" : ""}`,
  });
  return (units, given = {} as Omit<C, "units">) => {
    checkWhole(`${kind}: `, { units }, 1);
    const { recurrentDropout = 0, truncate = 1, stateful = 1 }: RecurrentOptions = given;
    checkWhole(`${kind}: `, { truncate, stateful }, 1);
    checkNumbers(`${kind}: `, { recurrentDropout }, BELOW_1);
    if (given.stateful !== undefined && given.backwards)
      throw new ArgumentError(
        `${kind}: what goes on from batch to batch goes forwards; leave out backwards, or stateful.`,
      );
    const { activation = "tanh", gateActivation = "sigmoid" }: CellActivations = given;
    for (const each of [activation, gateActivation]) activationNamed(each);
    return make(given as never, { units } as never);
  };
}

const zeros = ([size]: Shape): ArrayLike<number> => new Float32Array(size);

/** Options of `simpleRnn`. */
export interface SimpleRnnOptions extends RecurrentOptions {
  /** What the sum goes through; `tanh` unless said. */
  readonly activation?: string;
}

const makeSimpleRnn = defineRecurrent<SimpleRnnOptions & { readonly units: number }>(
  "simpleRnn",
  ["activation"],
  {
    gates: ["state"],
    states: ["state"],
    next: (_, { x, recurrent, activation, name }, [h]) => [name(activation(add(recurrent(0, h), x[0])), "state")],
  },
  () => [["bias", zeros]],
);

/**
 * A simple recurrent layer (Elman, 1990): hₜ = tanh(xₜ W + hₜ₋₁ R + b); [B, T, I] → [B, units], or [B, T, units] with
 * `sequences`.
 *
 * @example
 * const model = sequential({ input: [20, 3] }, [simpleRnn(16), dense(1)]);
 */
export const simpleRnn = (units: number, options: SimpleRnnOptions = {}): Layer => makeSimpleRnn(units, options);

/** Options of `lstm`. */
export interface LstmOptions extends RecurrentOptions, CellActivations {
  /** The bias with which the forget gate begins, which keeps it open (Jozefowicz et al., 2015); 1 unless said. */
  readonly forgetBias?: number;
}

const makeLstm = defineRecurrent<LstmOptions & { readonly units: number }>(
  "lstm",
  ["forgetBias", "activation", "gateActivation"],
  {
    gates: ["input", "forget", "candidate", "output"],
    states: ["state", "cell"],
    next: (_, { x, recurrent, gate, activation, name }, [h, c]) => {
      const z = (i: number): Node => add(recurrent(i, h), x[i]);
      const input = name(gate(z(0)), "input");
      const forget = name(gate(z(1)), "forget");
      const candidate = name(activation(z(2)), "candidate");
      const output = name(gate(z(3)), "output");
      const cell = name(add(mul(forget, c), mul(input, candidate)), "cell");
      return [name(mul(output, activation(cell)), "state"), cell];
    },
  },
  ({ units, forgetBias = 1 }) => [
    ["bias", ([size]) => Float32Array.from({ length: size }, (_, i) => (Math.floor(i / units) === 1 ? forgetBias : 0))],
  ],
);

/**
 * Long short-term memory (Hochreiter & Schmidhuber, 1997; with forget gates, Gers et al., 2000): i, f, o = σ(…), g = tanh(…),
 * cₜ = f cₜ₋₁ + i g, hₜ = o tanh(cₜ); [B, T, I] → [B, units], or [B, T, units] with `sequences`. The gates stand in the order
 * i, f, g, o in `kernel` [I, 4 units], `recurrentKernel` [units, 4 units] and `bias`. They can be asked for by name and
 * place: `lstm_1.forget.3`.
 *
 * @example
 * const model = sequential({ input: [20, 3] }, [lstm(16), dense(1)]);
 */
export const lstm = (units: number, options: LstmOptions = {}): Layer => makeLstm(units, options);

/** Options of `gru`. */
export interface GruOptions extends RecurrentOptions, CellActivations {
  /** Whether the reset gate comes after the recurrent product, as in PyTorch and in Keras unless asked, or before it (Cho et al., 2014); true unless said. */
  readonly resetAfter?: boolean;
}

const makeGru = defineRecurrent<GruOptions & { readonly units: number }>(
  "gru",
  ["resetAfter", "activation", "gateActivation"],
  {
    gates: ["update", "reset", "candidate"],
    states: ["state"],
    next: ({ resetAfter = true }, { x, recurrent, recurrentBias, gate, activation, name }, [h]) => {
      const remembered = (i: number, from = h): Node =>
        recurrentBias.length > 0 ? add(recurrent(i, from), recurrentBias[i]) : recurrent(i, from);
      const update = name(gate(add(remembered(0), x[0])), "update");
      const reset = name(gate(add(remembered(1), x[1])), "reset");
      const past = resetAfter ? mul(reset, remembered(2)) : remembered(2, mul(reset, h));
      const candidate = name(activation(add(past, x[2])), "candidate");
      return [name(add(mul(sub(1, update), candidate), mul(update, h)), "state")];
    },
  },
  ({ resetAfter = true }) => [["bias", zeros], ...(resetAfter ? ([["recurrentBias", zeros]] as const) : [])],
);

/**
 * The gated recurrent unit (Cho et al., 2014): z, r = σ(…), n = tanh(xₜ Wₙ + r (hₜ₋₁ Rₙ + …)), hₜ = (1 − z) n + z hₜ₋₁;
 * [B, T, I] → [B, units], or [B, T, units] with `sequences`. The gates stand in the order z, r, n in `kernel`
 * [I, 3 units], `recurrentKernel` [units, 3 units], `bias` and, where the reset gate comes after the product, `recurrentBias`.
 *
 * @example
 * const model = sequential({ input: [20, 3] }, [gru(16, { sequences: true }), gru(8), dense(1)]);
 */
export const gru = (units: number, options: GruOptions = {}): Layer => makeGru(units, options);

/**
 * A recurrent layer in both directions, side by side: [B, T, I] → [B, 2 units], or [B, T, 2 units]. What the two give
 * may be merged in another way than `concat`.
 *
 * @example
 * const model = sequential({ input: [20, 3] }, [bidirectional(lstm(16)), dense(1)]);
 */
export function bidirectional(layer: Layer, options: LayerOptions & { readonly merge?: MergeName } = {}): Layer {
  checkOptionNames("bidirectional", options, ["merge", "name", "trainable"]);
  const config = layer.config as Config;
  if (!["simpleRnn", "lstm", "gru"].includes(layer.kind))
    throw new ArgumentError(
      `bidirectional takes a recurrent layer, such as lstm(16); one of kind "${layer.kind}" came.`,
    );
  const { name: _, ...rest } = config;
  return branches([layer, { kind: layer.kind, config: { ...rest, backwards: !config.backwards } }], options);
}
