/**
 * A network: layers, how they are wired, their names, their parameters, and how to build their graph. It holds no values
 * and runs nothing. Layers may hold layers; a parameter's name is the way to it: `residual_1.dense_2.kernel`.
 */
import { checkNumbers, show, whole } from "../checks.ts";
import { ArgumentError, ChainruleError, ShapeError } from "../errors.ts";
import { input, variable } from "../graph/leaf.ts";
import { inScope, type Node, named } from "../graph/node.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../graph/shape.ts";
import { add, randomUniform } from "../ops/index.ts";
import { streamKey } from "../random.ts";
import type { Initializer } from "./initializers.ts";
import { type Layer, type LayerConfig, type LayerKind, layerKind, type ParameterSpec } from "./layer.ts";
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
  /** The sum of the layers' own loss terms, if any has one. */
  readonly penalty: Node | undefined;
}

export interface ApplyOptions {
  readonly training: boolean;
  /** The number of the step, a scalar of type int: what random layers draw their numbers for. */
  readonly step?: Node;
}

/** What gathers while a network is applied. */
interface Pass extends ApplyOptions {
  /** The network's own input. */
  readonly x: Node;
  readonly results: Map<string, Node>;
  readonly updates: Map<Node, Node>;
  readonly penalties: Map<string, Node>;
  /** How many random arrays each layer has drawn. */
  readonly draws: Map<string, number>;
}

/** One layer in its place in the network. */
class Place {
  readonly name: string;
  readonly config: LayerConfig;
  readonly kindName: string;
  readonly kind: LayerKind<unknown>;
  readonly inner: readonly Place[];
  /** By their names within the layer. Known once the shape of the input is. */
  readonly parameters = new Map<string, Parameter>();
  readonly specs = new Map<string, ParameterSpec>();
  shapes: { input: Shape; output: Shape } | undefined;
  frozen: boolean;
  /** Whether it is applied to the network's own input. */
  seesData = false;

  constructor(name: string, { kind, config }: Layer, frozen: boolean) {
    this.name = name;
    this.config = config as LayerConfig;
    this.kindName = kind;
    this.kind = layerKind(kind);
    this.frozen = frozen || this.config.trainable === false;
    this.inner = placesOf(this.config.layers ?? [], `${name}.`, this.frozen);
  }

  /** Makes the parameters for an input shape; when the layer is used again, they must be the same. */
  prepare(shape: Shape): void {
    const specs = this.kind.parameters?.(this.config, shape) ?? [];
    const isNew = this.shapes === undefined;
    for (const spec of specs) {
      const known = this.parameters.get(spec.name);
      if (isNew) {
        this.#make(spec);
      } else if (!known || !sameShape(known.node.shape, spec.shape)) {
        throw new ShapeError(
          `it is used again on an input of shape ${showShape(shape)}, for which its ${spec.name} would have shape ${showShape(spec.shape)}; it has ${showShape(known?.node.shape ?? [])}, from an input of shape ${showShape(this.shapes!.input)}. Parameters can be shared among inputs of like shapes.`,
        );
      }
    }
  }

  #make(spec: ParameterSpec): void {
    const name = `${this.name}.${spec.name}`;
    const place = this;
    this.specs.set(spec.name, spec);
    this.parameters.set(spec.name, {
      name,
      node: variable(name, spec.shape),
      init: spec.init,
      get trainable() {
        return spec.trainable !== false && !place.frozen;
      },
    });
  }

  freeze(frozen: boolean): void {
    this.frozen = frozen;
    for (const place of this.inner) place.freeze(frozen);
  }

  get allParameters(): readonly Parameter[] {
    return [...this.parameters.values(), ...this.inner.flatMap((place) => place.allParameters)];
  }

  describe(): NamedLayer {
    return {
      name: this.name,
      kind: this.kindName,
      config: this.config,
      description: this.kind.describe?.(this.config) ?? "",
      inputShape: this.shapes?.input ?? [],
      outputShape: this.shapes?.output ?? [],
      parameters: this.allParameters,
      layers: this.inner.map((place) => place.describe()),
    };
  }

  /** The layer as plain data, with what has been frozen since it was made. */
  toLayer(): Layer {
    const { trainable: _, ...config } = this.config;
    return {
      kind: this.kindName,
      config: {
        ...config,
        ...(this.frozen && { trainable: false }),
        ...(this.config.layers && { layers: this.inner.map((place) => place.toLayer()) }),
      },
    };
  }
}

/** Gives each layer its place and its name: its own, or its kind and which of that kind it is. */
function placesOf(layers: readonly Layer[], prefix: string, frozen: boolean): Place[] {
  const counts = new Map<string, number>();
  const taken = new Set<string>();
  return layers.map((layer) => {
    const number = (counts.get(layer.kind) ?? 0) + 1;
    counts.set(layer.kind, number);
    const { name = `${layer.kind}_${number}` } = layer.config as LayerConfig;
    if (typeof name !== "string" || !/^[^.\s]+$/.test(name) || taken.has(name)) {
      throw new ArgumentError(
        `A layer's name must be a word without dots that no other layer beside it has; "${name}" came.`,
      );
    }
    taken.add(name);
    return new Place(prefix + name, layer, frozen);
  });
}

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
    if (inputShape.some((n) => !Number.isInteger(n) || n < 1)) {
      throw new ArgumentError(
        `The input shape must be whole numbers ≥ 1 without the batch, such as [784]; it is ${show(inputShape)}.`,
      );
    }
    checkNumbers("A network: ", { seed }, whole(0));
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
    return this.#places.flatMap((place) => place.allParameters);
  }

  get parameterCount(): number {
    return this.parameters.reduce((sum, { node }) => sum + sizeOf(node.shape), 0);
  }

  /** All layers, those inside of others after them. */
  get allLayers(): readonly NamedLayer[] {
    const flatten = (layers: readonly NamedLayer[]): NamedLayer[] =>
      layers.flatMap((layer) => [layer, ...flatten(layer.layers)]);
    return flatten(this.layers);
  }

  /** The layers as plain data. */
  toLayers(): Layer[] {
    return this.#places.map((place) => place.toLayer());
  }

  /** Lets a layer's parameters be, or be trained again, by its name such as `dense_1` or `residual_1.dense_2`. */
  freeze(name: string, frozen = true): void {
    const all = this.#allPlaces();
    const found = all.find((place) => place.name === name);
    if (!found) {
      throw new ArgumentError(
        `There is no layer "${name}". This network has ${all.map((place) => place.name).join(", ")}.`,
      );
    }
    found.freeze(frozen);
  }

  /** Checks data for the layers that take it as it is, such as embeddings. */
  check(values: ArrayLike<number>, what: string): void {
    for (const { seesData, kind, config } of this.#allPlaces()) {
      if (seesData) kind.check?.(config, values, sizeOf(this.inputShape), what);
    }
  }

  #allPlaces(places = this.#places): Place[] {
    return places.flatMap((place) => [place, ...this.#allPlaces(place.inner)]);
  }

  /** Builds the graph of the network for a batch x [B, …input shape]. */
  apply(x: Node, options: ApplyOptions): Applied {
    const pass: Pass = {
      ...options,
      x,
      results: new Map(),
      updates: new Map(),
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
      penalty: penalties.length > 0 ? penalties.reduce((a, b) => add(a, b)) : undefined,
    };
  }

  #applyPlace(place: Place, inputs: readonly Node[], pass: Pass): Node {
    const { name, config, kind } = place;
    const [x] = inputs;
    const build = (): Node => {
      if (inputs.length > 1 && !kind.several)
        throw new ArgumentError(`it takes one input, but is applied to ${inputs.length}. Merge them first.`);
      const shape = x.shape.slice(1);
      place.prepare(shape);
      if (x === pass.x) place.seesData = true;
      for (const [own, { penalty }] of place.specs) {
        const parameter = place.parameters.get(own)!;
        if (penalty && parameter.trainable) pass.penalties.set(parameter.name, penalty(parameter.node));
      }
      const output = kind.apply(config, {
        x,
        inputs,
        training: pass.training && !place.frozen,
        parameter: (own) => {
          const { node } = place.parameters.get(own)!;
          return pass.updates.get(node) ?? node;
        },
        name: (node, own) => {
          pass.results.set(`${name}.${own}`, node);
          return named(node, `${name}.${own}`);
        },
        uniform: (shape) => {
          if (!pass.step) throw new ArgumentError("Random layers need the number of the step when they train.");
          const draw = pass.draws.get(name) ?? 0;
          pass.draws.set(name, draw + 1);
          return randomUniform(pass.step, shape, streamKey(this.seed, `${name}.random${draw}`));
        },
        update: (own, next) => pass.updates.set(place.parameters.get(own)!.node, next),
        addLoss: (term) => {
          pass.penalties.set(`${name} ${pass.penalties.size}`, term);
        },
        layer: (index, ...given) => this.#applyPlace(place.inner[index], given, pass),
      });
      place.shapes ??= { input: shape, output: output.shape.slice(1) };
      return output;
    };
    const output = atLayer(name, () => inScope(name, build));
    pass.results.set(name, output);
    return output;
  }
}

/** Puts the layer's name before what goes wrong in it. */
function atLayer<T>(name: string, build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (error instanceof ChainruleError && !error.message.startsWith("Layer ")) {
      const Kind = error instanceof ShapeError ? ShapeError : ArgumentError;
      throw new Kind(`Layer ${name}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}
