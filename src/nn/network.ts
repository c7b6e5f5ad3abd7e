/**
 * A network: layers, how they are wired, their names, their parameters, and how to build their graph. It holds no values
 * and runs nothing. Layers may hold layers; a parameter's name is the way to it: `residual_1.dense_2.kernel`.
 */

import { checkWhole, show, unknownName } from "../checks.ts";
import { ArgumentError, ChainruleError, ShapeError } from "../errors.ts";
import { input, variable } from "../graph/leaf.ts";
import { inScope, type Node, named } from "../graph/node.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../graph/shape.ts";
import { add, randomUniform, toFloat } from "../ops/index.ts";
import { streamKey } from "../random.ts";
import { joined } from "../wording.ts";
import type { Initializer } from "./initializers.ts";
import { type Layer, type LayerConfig, type LayerKind, layerKind, type Memory, type ParameterSpec } from "./layer.ts";
import { chained, flowThrough, type Wiring } from "./wiring.ts";

/** A parameter or state of a network. */
export interface Parameter {
  /** `dense_1.kernel` */
  readonly name: string;
  readonly node: Node;
  readonly init: Initializer;
  /** Whether the optimiser changes it. */
  readonly trainable: boolean;
}

/** A layer in its network: with its name, shapes and parameters. */
export interface NamedLayer {
  /** `dense_1` */
  readonly name: string;
  readonly kind: string;
  readonly description: string;
  readonly config: LayerConfig;
  /** Of the first input, where there are several. */
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  /** Its own and those of the layers in it. */
  readonly parameters: readonly Parameter[];
  /** The layers that it is made of, if it is. */
  readonly layers: readonly NamedLayer[];
}

/** The name of a layer's activation; `linear` if it has none. */
export const activationOf = ({ config }: NamedLayer): string =>
  (config as LayerConfig & { readonly activation?: string }).activation ?? "linear";

/** The graph of a network applied to a batch. */
export interface Applied {
  readonly output: Node;
  /** Results by name: `dense_1.z`, `dense_1.a`. */
  readonly named: ReadonlyMap<string, Node>;
  /** New values of states such as running means; only when training. */
  readonly updates: readonly { variable: Node; value: Node }[];
  /** What is remembered from place to place: variables that begin as zeros. */
  readonly memories: readonly Node[];
  /** The sum of the layers' own loss terms, if any has one. */
  readonly penalty: Node | undefined;
}

export interface ApplyOptions {
  readonly training: boolean;
  /** The number of the step, a scalar of type int: what random layers draw their numbers for. */
  readonly step?: Node;
  /** Where the network goes on place by place. */
  readonly memory?: Memory;
}

/** What gathers while a network is applied. */
interface Pass extends ApplyOptions {
  /** The network's own input. */
  readonly x: Node;
  readonly results: Map<string, Node>;
  readonly updates: Map<Node, Node>;
  readonly memories: Node[];
  /** By the parameters that they are of, so that one which is used twice counts once. */
  readonly penalties: Map<object, Node>;
  /** How many random arrays each layer has drawn. */
  readonly draws: Map<string, number>;
}

/** One layer in its place in the network. */
class Place {
  readonly name: string;
  readonly kind: string;
  readonly config: LayerConfig;
  readonly layers: readonly Place[];
  readonly definition: LayerKind<unknown>;
  /** Its own parameters by their names within the layer. Known once the shape of the input is. */
  readonly own = new Map<string, Parameter & Pick<ParameterSpec, "penalty">>();
  /** Until its first use, which gives it its shapes. */
  isNew = true;
  inputShape: Shape = [];
  outputShape: Shape = [];
  frozen: boolean;
  /** Whether it is applied to the network's own input. */
  seesData = false;

  constructor(name: string, { kind, config }: Layer, frozen: boolean) {
    this.name = name;
    this.kind = kind;
    this.config = config as LayerConfig;
    this.definition = layerKind(kind);
    this.frozen = frozen || this.config.trainable === false;
    this.layers = placesOf(this.config.layers ?? [], `${name}.`, this.frozen);
  }

  /** Makes the parameters for an input shape; when the layer is used again, they must be the same. */
  prepare(input: Shape): void {
    const place = this;
    const specs = this.definition.parameters?.(this.config, input) ?? [];
    for (const { name: own, shape, init, penalty, trainable } of specs) {
      const known = this.own.get(own);
      if (this.isNew) {
        const name = `${this.name}.${own}`;
        this.own.set(own, {
          name,
          node: variable(name, shape),
          init,
          penalty,
          get trainable() {
            return trainable !== false && !place.frozen;
          },
        });
      } else if (!known || !sameShape(known.node.shape, shape)) {
        throw new ShapeError(
          `it is used again on an input of shape ${showShape(input)}, where its ${own} would have shape ${showShape(shape)}, not ${showShape(known?.node.shape ?? [])}. Only inputs of like shapes can share parameters.`,
        );
      }
    }
  }

  get parameters(): readonly Parameter[] {
    return [...this.own.values(), ...this.layers.flatMap((place) => place.parameters)];
  }

  describe(): NamedLayer {
    const { name, kind, config, definition, inputShape, outputShape, parameters, layers } = this;
    return {
      name,
      kind,
      config,
      inputShape,
      outputShape,
      parameters,
      description: definition.describe?.(config) ?? "",
      layers: layers.map((place) => place.describe()),
    };
  }

  /** The layer as plain data, with what has been frozen since it was made. */
  toLayer(): Layer {
    const { trainable: _, ...config } = this.config;
    return {
      kind: this.kind,
      config: {
        ...config,
        ...(this.frozen && { trainable: false }),
        ...(config.layers && { layers: this.layers.map((place) => place.toLayer()) }),
      },
    };
  }
}

/** Gives each layer its place and its name: its own, or its kind and which of that kind it is. */
function placesOf(layers: readonly Layer[], prefix: string, frozen: boolean): Place[] {
  const names = layers.map(({ kind, config }, i) => {
    const number = layers.slice(0, i + 1).filter((layer) => layer.kind === kind).length;
    const { name = `${kind}_${number}` } = config as LayerConfig;
    return name;
  });
  return layers.map((layer, i) => {
    const name = names[i];
    if (typeof name !== "string" || !/^[^.\s]+$/.test(name) || names.indexOf(name) < i)
      throw new ArgumentError(
        `A layer's name must be a word without dots that no other layer beside it has; ${show(name)} came.`,
      );
    return new Place(prefix + name, layer, frozen);
  });
}

/** All of these, each with those inside of it after it. */
const withInner = <T extends { readonly layers: readonly T[] }>(layers: readonly T[]): T[] =>
  layers.flatMap((layer) => [layer, ...withInner(layer.layers)]);

/**
 * A network as a graph: layers with names, shapes and initial values, which knows no training. `model.network` is one.
 */
export class Network {
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  /** The op that the output comes from, such as `softmax`. */
  readonly outputOp: string;
  readonly seed: number;
  readonly layers: readonly NamedLayer[];
  /** Which layer is applied to what; one after the other if undefined. */
  readonly wiring: Wiring | undefined;
  readonly #places: readonly Place[];

  constructor(inputShape: Shape, seed: number, layers: readonly Layer[], wiring?: Wiring) {
    checkWhole("The shape of one sample, such as [784]: ", { input: inputShape }, 1, inputShape.length);
    checkWhole("A network: ", { seed }, 0);
    if (layers.length === 0) throw new ArgumentError("A network needs at least one layer, such as dense(10).");
    this.inputShape = inputShape;
    this.seed = seed;
    this.wiring = wiring;
    this.#places = placesOf(layers, "", false);
    const { output } = this.apply(input("x", [1, ...inputShape]), { training: false });
    this.outputShape = output.shape.slice(1);
    this.outputOp = output.op.name;
    this.layers = this.#places.map((place) => place.describe());
  }

  /** Every parameter and state, in the order of the layers. */
  get parameters(): readonly Parameter[] {
    return this.#places.flatMap((place) => place.parameters);
  }

  get parameterCount(): number {
    return this.parameters.reduce((sum, { node }) => sum + sizeOf(node.shape), 0);
  }

  /** All layers, those inside of others after them. */
  get allLayers(): readonly NamedLayer[] {
    return withInner(this.layers);
  }

  /** The layers as plain data. */
  toLayers(): Layer[] {
    return this.#places.map((place) => place.toLayer());
  }

  /** Lets a layer's parameters be, or be trained again, by its name such as `dense_1` or `residual_1.dense_2`. */
  freeze(name: string, frozen = true): void {
    const all = withInner(this.#places);
    const found = all.filter((place) => place.name === name);
    if (found.length === 0) {
      throw unknownName(
        "layer",
        name,
        all.map((place) => place.name),
      );
    }
    for (const place of withInner(found)) place.frozen = frozen;
  }

  /** Checks data for the layers that take it as it is, such as embeddings. */
  check(values: ArrayLike<number>, what: string): void {
    for (const { seesData, definition, config } of withInner(this.#places)) {
      if (seesData) definition.check?.(config, values, sizeOf(this.inputShape), what);
    }
  }

  /** Builds the graph of the network for a batch x [B, …input shape]. */
  apply(given: Node, options: ApplyOptions): Applied {
    // Pixels are kept as bytes; layers compute with numbers.
    const x = toFloat(given);
    const pass: Pass = {
      ...options,
      x,
      results: new Map(),
      updates: new Map(),
      memories: [],
      penalties: new Map(),
      draws: new Map(),
    };
    const output = flowThrough(this.wiring ?? chained(this.#places.length), x, (index, inputs) =>
      this.#applyPlace(this.#places[index], inputs, pass),
    );
    const penalties = [...pass.penalties.values()];
    return {
      output,
      named: pass.results,
      updates: [...pass.updates].map(([variable, value]) => ({ variable, value })),
      memories: pass.memories,
      penalty: penalties.length > 0 ? penalties.reduce((a, b) => add(a, b)) : undefined,
    };
  }

  #applyPlace(place: Place, inputs: readonly Node[], pass: Pass): Node {
    const { name, definition, own } = place;
    const [x] = inputs;
    const build = (): Node => {
      if (inputs.length > 1 && !definition.several)
        throw new ArgumentError(`it takes one input, but is applied to ${inputs.length}. Merge them first.`);
      const shape = x.shape.slice(1);
      // One place of a sequence has another shape than the whole, for which the parameters are.
      if (!pass.memory) place.prepare(shape);
      if (x === pass.x) place.seesData = true;
      for (const { penalty, trainable, node } of own.values()) {
        if (penalty && trainable) pass.penalties.set(node, penalty(node));
      }
      const output = definition.apply(place.config, {
        x,
        inputs,
        training: pass.training && !place.frozen,
        parameter: (key) => {
          const { node } = own.get(key)!;
          return pass.updates.get(node) ?? node;
        },
        name: (node, key) => {
          pass.results.set(`${name}.${key}`, node);
          return named(node, `${name}.${key}`);
        },
        uniform: (shape) => {
          if (!pass.step) throw new ArgumentError("Random layers need the number of the step when they train.");
          const draw = pass.draws.get(name) ?? 0;
          pass.draws.set(name, draw + 1);
          return randomUniform(pass.step, shape, streamKey(this.seed, `${name}.random${draw}`));
        },
        update: (key, next) => pass.updates.set(own.get(key)!.node, next),
        ...(pass.memory && {
          memory: {
            ...pass.memory,
            keep: (key: string, shape: Shape, next: (before: Node) => Node): Node => {
              const before = variable(`${name}.${key}`, shape);
              const after = next(before);
              pass.memories.push(before);
              pass.updates.set(before, after);
              return after;
            },
          },
        }),
        addLoss: (term) => pass.penalties.set({}, term),
        layer: (index, ...given) => this.#applyPlace(place.layers[index], given, pass),
      });
      if (place.isNew) [place.isNew, place.inputShape, place.outputShape] = [false, shape, output.shape.slice(1)];
      return output;
    };
    try {
      const output = inScope(name, build);
      pass.results.set(name, output);
      return output;
    } catch (error) {
      // What goes wrong in a layer is said with its name.
      if (!(error instanceof ChainruleError) || "layer" in error.facts) throw error;
      const Kind = error instanceof ShapeError ? ShapeError : ArgumentError;
      const facts = { ...error.facts, layer: name };
      throw new Kind(joined(`Layer ${name}: `, error.said), { code: error.code, facts, cause: error });
    }
  }
}
