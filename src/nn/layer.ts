/**
 * What a layer is: a kind and its configuration, both plain data; and what a kind is: which parameters it has and how it
 * is applied. Values of parameters live elsewhere, with the model. A layer made of others holds them in its
 * configuration, under `layers`, so that any network remains plain JSON.
 */
import { checkOptionNames, unknownName } from "../checks.ts";
import type { Node } from "../graph/node.ts";
import type { Shape } from "../graph/shape.ts";
import type { Initializer } from "./initializers.ts";

/** Options of every layer. */
export interface LayerOptions {
  /** What it is called; its kind and number unless said, such as `dense_1`. */
  readonly name?: string;
  /** With false its parameters and states stay as they are and it works as at inference; true unless said. */
  readonly trainable?: boolean;
}

/** A layer as the user writes it and the model file keeps it. */
export interface Layer<C = unknown> {
  readonly kind: string;
  readonly config: C;
}

/** What the library itself reads of any configuration. */
export type LayerConfig = LayerOptions & { readonly layers?: readonly Layer[] };

/** A parameter, or a state such as a running mean, of one layer. */
export interface ParameterSpec {
  /** `kernel`, `bias`. */
  readonly name: string;
  readonly shape: Shape;
  readonly init: Initializer;
  /** Whether the optimiser changes it; true unless said. */
  readonly trainable?: boolean;
  /** Whether it is what lasts from batch to batch, and becomes what it was at first where a sequence begins; false unless said. */
  readonly carried?: boolean;
  /** A term of the loss that keeps it small, of the parameter. */
  readonly penalty?: (w: Node) => Node;
}

/** What lasts from one place of a sequence to the next, where a network goes on place by place. */
export interface Memory {
  /** The number of the place at hand, a scalar. */
  readonly position: Node;
  /** How many places there are at most. */
  readonly length: number;
}

/** What a layer has when it is applied. */
export interface LayerContext {
  /** [B, …input shape] */
  readonly x: Node;
  /** All that it is applied to; x is the first. */
  readonly inputs: readonly Node[];
  readonly training: boolean;
  /** One of the layer's parameters. */
  parameter(name: string): Node;
  /**
   * A parameter of another layer, such as `words.table`, beside this one or beside those that it lies in.
   * @throws ArgumentError if there is none yet; it says which there are
   */
  shared(name: string): Node;
  /** Gives a result a name, such as `z`, under which it can be asked for. */
  name(node: Node, name: string): Node;
  /** Whether places of a sequence shall be nodes of their own, to be looked at, and not turns of a loop. */
  readonly unrolled: boolean;
  /** Uniform random numbers in [0, 1), new in every step. */
  uniform(shape: Shape): Node;
  /** Sets a state of the layer to a new value after each training step. */
  update(name: string, value: Node): void;
  /**
   * Gives out what the layer takes up at each place, [T, B, …] in the order of the sequence: its gradient tells how far back in
   * time the loss reaches.
   */
  watch(places: Node): void;
  /** Adds a term, such as a penalty on activations, to the loss. */
  addLoss(term: Node): void;
  /** Present where x is one place of a sequence, [B, 1, …], and what came before it is remembered. */
  readonly memory?: Memory & {
    /** What the layer remembers under a name, of a shape, 0 at the beginning: `next` makes it new, which is given back. */
    keep(name: string, shape: Shape, next: (before: Node) => Node): Node;
  };
  /**
   * Which places of sequences x [B, T, …] count, where some are padding: [B, T] of 1 and 0; undefined where all do. Only kinds
   * that say `masks: "takes"` look at it.
   */
  maskOf(x: Node): Node | undefined;
  /** Says which places of the layer's own result count. */
  setMask(mask: Node): void;
  /** Applies the layer number `index` of the configuration's `layers`; again applied, it has the same parameters. */
  layer(index: number, ...inputs: Node[]): Node;
}

/** What `defineLayer` makes a layer of: its parameters, and how it is applied. */
export interface LayerKind<C> {
  /** The names of its options beside `name` and `trainable`; where they are given, no other is taken. */
  readonly options?: readonly (keyof C & string)[];
  /**
   * The layer's parameters for an input shape (without the batch), the first where it takes several; throws a ShapeError
   * if it cannot take that shape.
   */
  parameters?(config: C, input: Shape, inputs: readonly Shape[]): readonly ParameterSpec[];
  /** The layer's output as nodes, of `context.x` [B, …] and its parameters. */
  apply(config: C, context: LayerContext): Node;
  /** Whether it takes several inputs; just one unless said. */
  readonly several?: boolean;
  /**
   * What it does where some places of its input are padding: `"places"` deals with each place by itself, so that the same places of
   * its result count; `"takes"` goes by `maskOf` and says with `setMask` which places count on. Others mix padding with the rest
   * and do not take such input.
   */
  readonly masks?: "places" | "takes";
  /** Whether it brings data of any size into a range that a network learns from well. */
  readonly scales?: boolean;
  /** Checks the data's own values, where it is applied to them; throws a DataError. `what` names the array. */
  check?(config: C, values: ArrayLike<number>, rowSize: number, what: string): void;
  /** A line for the summary, such as `128, relu`. */
  describe?(config: C): string;
}

const kinds = new Map<string, LayerKind<unknown>>();

/** Makes layers of a kind: of a configuration, or of its options and what else belongs to it. */
export interface LayerMaker<C> {
  (config: C): Layer<C>;
  <K extends keyof C>(options: Omit<C, K>, own: Pick<C, K>): Layer<C>;
}

/**
 * Makes a kind of layer known, and gives the function that makes layers of it.
 *
 * @example
 * const scale = defineLayer<{ by: number }>("scale", { options: ["by"], apply: ({ by }, { x }) => mul(x, by) });
 * const model = sequential({ input: [4] }, [scale({ by: 0.5 }), dense(1)]);
 */
export function defineLayer<C>(kind: string, definition: LayerKind<C>): LayerMaker<C> {
  kinds.set(kind, definition as LayerKind<unknown>);
  return (options: unknown, own?: object): Layer<C> => {
    if (definition.options) checkOptionNames(kind, options, [...definition.options, "name", "trainable"]);
    return { kind, config: { ...own, ...(options as C) } as C };
  };
}

export const layerKinds = (): string[] => [...kinds.keys()];

export function layerKind(kind: string): LayerKind<unknown> {
  const found = kinds.get(kind);
  if (found) return found;
  throw unknownName(
    "layer",
    kind,
    layerKinds(),
    ", or make your own known with defineLayer before you load it; import chainrule/interchange for one of another library",
  );
}
