/**
 * A network: layers, how they are wired, their names, their parameters, and how to build their graph. It holds no values
 * and runs nothing. Layers may hold layers; a parameter's name is the way to it: `residual_1.dense_2.kernel`.
 */

import { check, checkWhole, isObject, show, unknownName } from "../checks.ts";
import { ArgumentError, ChainruleError, ShapeError } from "../errors.ts";
import { input as inputNode, variable } from "../graph/leaf.ts";
import { inScope, type Node, named } from "../graph/node.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../graph/shape.ts";
import { add, mul, randomUniform, toFloat } from "../ops/index.ts";
import { streamKey } from "../random.ts";
import { joined } from "../wording.ts";
import type { Initializer } from "./initializers.ts";
import { type Layer, type LayerConfig, type LayerKind, layerKind, type Memory, type ParameterSpec } from "./layer.ts";
import { chained, flowThrough, isWiring, type Structure, type Wiring } from "./wiring.ts";

/** Where a network takes an array, or gives one. */
export interface NamedShape {
  /** Undefined where there is one alone that needs no name. */
  readonly name: string | undefined;
  /** The shape of one sample, without the batch. */
  readonly shape: Shape;
}

/** Where a network gives an array. */
export interface NetworkOutput extends NamedShape {
  /** The op that it comes from, such as `softmax`. */
  readonly op: string;
}

/** The shape of a network's input, or of each by its name. */
export type InputShapes = Shape | Readonly<Record<string, Shape>>;

/** The name of the array at a port: `x`, or `x.image` where inputs have names. */
export const arrayName = (what: string, { name }: NamedShape): string =>
  name === undefined ? what : `${what}.${name}`;

/** The shape of the only input or output, for what works with one alone. */
export function onlyShape(ports: readonly NamedShape[], what: "input" | "output"): Shape {
  const [{ name, shape }] = ports;
  if (name === undefined) return shape;
  const names = ports.map((port) => port.name);
  throw new ArgumentError(
    `This is for networks with one ${what} without a name; this one has ${names.length === 1 ? "the" : "several"} named ${what}${names.length === 1 ? "" : "s"} ${names.join(", ")}.`,
    { facts: { wanted: `one ${what}`, came: names } },
  );
}

/** A parameter or state of a network. */
export interface Parameter {
  /** `dense_1.kernel` */
  readonly name: string;
  readonly node: Node;
  readonly init: Initializer;
  /** Whether the optimiser changes it. */
  readonly trainable: boolean;
  /** Whether it lasts from batch to batch until a sequence begins. */
  readonly carried: boolean;
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
  /** In the order of `network.outputs`. */
  readonly outputs: readonly Node[];
  /** The first of them, which is the only one unless they have names. */
  readonly output: Node;
  /** Results by name: `dense_1.z`, `dense_1.a`. */
  readonly named: ReadonlyMap<string, Node>;
  /** New values of states such as running means; only when training. */
  readonly updates: readonly { variable: Node; value: Node }[];
  /** What is remembered from place to place: variables that begin as zeros. */
  readonly memories: readonly Node[];
  /** Of each output which places count, [B, T], where it is a sequence with padding. */
  readonly masks: readonly (Node | undefined)[];
  /** What layers that go through time take up at each place, [T, B, …], by the layers' names. */
  readonly watched: ReadonlyMap<string, Node>;
  /** The sum of the layers' own loss terms, if any has one. */
  readonly penalty: Node | undefined;
}

export interface ApplyOptions {
  readonly training: boolean;
  /** The number of the step, a scalar of type int: what random layers draw their numbers for. */
  readonly step?: Node;
  /** Where the network goes on place by place. */
  readonly memory?: Memory;
  /** Whether places of sequences shall be nodes of their own, with names, and not turns of a loop; false unless said. */
  readonly unrolled?: boolean;
}

/** What gathers while a network is applied. */
interface Pass extends ApplyOptions {
  /** The network's own inputs. */
  readonly inputs: readonly Node[];
  readonly results: Map<string, Node>;
  readonly updates: Map<Node, Node>;
  readonly memories: Node[];
  readonly watched: Map<string, Node>;
  /** Which places of a result count, where some are padding. */
  readonly masks: Map<Node, Node>;
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
  /** Which of the network's own inputs it is applied to. */
  readonly sees = new Set<number>();

  constructor(name: string, { kind, config }: Layer, frozen: boolean) {
    this.name = name;
    this.kind = kind;
    this.config = config as LayerConfig;
    this.definition = layerKind(kind);
    this.frozen = frozen || this.config.trainable === false;
    this.layers = placesOf(this.config.layers ?? [], `${name}.`, this.frozen);
  }

  /** Makes the parameters for an input shape; when the layer is used again, they must be the same. */
  prepare(input: Shape, inputs: readonly Shape[]): void {
    const place = this;
    const specs = this.definition.parameters?.(this.config, input, inputs) ?? [];
    for (const { name: own, shape, init, penalty, trainable, carried = false } of specs) {
      const known = this.own.get(own);
      if (this.isNew) {
        const name = `${this.name}.${own}`;
        this.own.set(own, {
          name,
          node: variable(name, shape),
          init,
          penalty,
          carried,
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

/** All of these layers, each with those inside of it after it. */
export const withInner = <T extends { readonly layers: readonly T[] }>(layers: readonly T[]): T[] =>
  layers.flatMap((layer) => [layer, ...withInner(layer.layers)]);

/** A word without dots: names are parts of others, such as `label.accuracy`. */
const NAME = /^[^.\s]+$/;

/** Inputs as users write them: a shape, or one by each name. */
function portsOf(input: InputShapes): NamedShape[] {
  const ports: NamedShape[] = isObject(input)
    ? Object.entries(input).map(([name, shape]) => ({ name, shape }))
    : [{ name: undefined, shape: input }];
  check(ports.length > 0, "A network needs an input, such as { input: { image: [28, 28, 1], tags: [10] } }", input);
  for (const port of ports) {
    checkPortName("input", port.name);
    check(Array.isArray(port.shape), `The shape of one sample of ${arrayName("x", port)}, such as [784]`, port.shape);
    checkWhole(
      "The shape of one sample, such as [784]: ",
      { [port.name ?? "input"]: port.shape },
      1,
      port.shape.length,
    );
  }
  return ports;
}

function checkPortName(what: "input" | "output", name: string | undefined): void {
  if (name === undefined || (NAME.test(name) && name !== "validation")) return;
  throw new ArgumentError(
    `The name of an ${what} must be a word without dots, other than validation; ${show(name)} came.`,
  );
}

/**
 * A network as a graph: layers with names, shapes and initial values, which knows no training. `model.network` is one.
 */
export class Network {
  /** What it takes, in the order in which `apply` is given it. */
  readonly inputs: readonly NamedShape[];
  /** What it gives. */
  readonly outputs: readonly NetworkOutput[];
  readonly seed: number;
  readonly layers: readonly NamedLayer[];
  /** Which layer is applied to what, and which values are the outputs; one after the other if undefined. */
  readonly connections: Pick<Structure, "wiring" | "outputs">;
  readonly #places: readonly Place[];
  readonly #wiring: Wiring;
  /** Of each output the number of its value, or the name of a layer's result. */
  readonly #results: readonly (number | string)[];

  constructor(
    input: InputShapes,
    seed: number,
    layers: readonly Layer[],
    connections: Pick<Structure, "wiring" | "outputs"> = {},
  ) {
    this.inputs = portsOf(input);
    checkWhole("A network: ", { seed }, 0);
    if (layers.length === 0) throw new ArgumentError("A network needs at least one layer, such as dense(10).");
    this.seed = seed;
    this.connections = connections;
    this.#places = placesOf(layers, "", false);
    const { wiring = chained(layers.length), outputs } = connections;
    const count = this.inputs.length;
    if (count > 1 && !connections.wiring)
      throw new ArgumentError(
        `A row of layers takes one input; ${count} came, ${this.inputs.map(({ name }) => name).join(", ")}. Say with functional which layer takes which.`,
      );
    const isInside = (value: number | string): boolean =>
      typeof value === "string" || (Number.isInteger(value) && value >= count && value < count + wiring.length);
    const named = Object.entries(outputs ?? {});
    if (!isWiring(wiring, layers.length, count) || !named.every(([, value]) => isInside(value)))
      throw new ArgumentError(`The wiring names layers or values that are not there: ${JSON.stringify(connections)}.`);
    for (const [name] of named) checkPortName("output", name);
    this.#wiring = wiring;
    this.#results = outputs ? named.map(([, value]) => value) : [count + wiring.length - 1];
    const given = this.inputs.map((port) => inputNode(arrayName("x", port), [1, ...port.shape]));
    const applied = this.apply(given, { training: false });
    this.outputs = applied.outputs.map(({ shape, op }, i) => ({
      name: outputs && named[i][0],
      shape: shape.slice(1),
      op: op.name,
    }));
    this.layers = this.#places.map((place) => place.describe());
  }

  /** The shapes of the inputs as they were written: of the only one, or by name. */
  get input(): InputShapes {
    return this.inputs[0].name === undefined
      ? this.inputs[0].shape
      : Object.fromEntries(this.inputs.map(({ name, shape }) => [name, shape]));
  }

  /**
   * Of a network whose only input has no name.
   * @throws ArgumentError for another
   */
  get inputShape(): Shape {
    return onlyShape(this.inputs, "input");
  }

  /**
   * Of a network whose only output has no name.
   * @throws ArgumentError for another
   */
  get outputShape(): Shape {
    return onlyShape(this.outputs, "output");
  }

  /** The layers that are applied to an input, by its number. */
  takersOf(input: number): NamedLayer[] {
    return this.#wiring.filter(([, ...from]) => from.includes(input)).map(([layer]) => this.layers[layer]);
  }

  /** The layer that gives an output, by its number. */
  giverOf(output: number): NamedLayer {
    const result = this.#results[output];
    if (typeof result === "number") return this.layers[this.#wiring[result - this.inputs.length][0]];
    return this.layers.find(({ name }) => result.startsWith(`${name}.`))!;
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

  /** Checks the data of an input, by its number, for the layers that take it as it is, such as embeddings. */
  check(input: number, values: ArrayLike<number>, what: string): void {
    for (const { sees, definition, config } of withInner(this.#places)) {
      if (sees.has(input)) definition.check?.(config, values, sizeOf(this.inputs[input].shape), what);
    }
  }

  /** Builds the graph of the network for a batch of each input [B, …its shape]. */
  apply(given: Node | readonly Node[], options: ApplyOptions): Applied {
    // Pixels are kept as bytes; layers compute with numbers.
    const inputs = [given].flat().map((x) => toFloat(x));
    const pass: Pass = {
      ...options,
      inputs,
      results: new Map(),
      updates: new Map(),
      memories: [],
      masks: new Map(),
      watched: new Map(),
      penalties: new Map(),
      draws: new Map(),
    };
    const values = flowThrough(this.#wiring, inputs, (index, taken) =>
      this.#applyPlace(this.#places[index], taken, pass),
    );
    const outputs = this.#results.map((result) => {
      const found = typeof result === "number" ? values[result] : pass.results.get(result);
      if (found) return found;
      throw unknownName("result", String(result), [...pass.results.keys()]);
    });
    const penalties = [...pass.penalties.values()];
    return {
      outputs,
      output: outputs[0],
      named: pass.results,
      updates: [...pass.updates].map(([variable, value]) => ({ variable, value })),
      memories: pass.memories,
      watched: pass.watched,
      masks: outputs.map((output) => pass.masks.get(output)),
      penalty: penalties.length > 0 ? penalties.reduce((a, b) => add(a, b)) : undefined,
    };
  }

  /** The parameter that a layer means by a name: of the layers beside it, or else of those further out. */
  #sharedFrom(layer: string, wanted: string): Node {
    const known = new Map(this.parameters.map(({ name, node }) => [name, node]));
    for (let around = layer; around.includes("."); ) {
      around = around.slice(0, around.lastIndexOf("."));
      const found = known.get(`${around}.${wanted}`);
      if (found) return found;
    }
    const found = known.get(wanted);
    if (found) return found;
    throw unknownName("parameter before it", wanted, [...known.keys()]);
  }

  #applyPlace(place: Place, inputs: readonly Node[], pass: Pass): Node {
    const { name, definition, own } = place;
    const [x] = inputs;
    const build = (): Node => {
      if (inputs.length > 1 && !definition.several)
        throw new ArgumentError(`it takes one input, but is applied to ${inputs.length}. Merge them first.`);
      const shape = x.shape.slice(1);
      // One place of a sequence has another shape than the whole, for which the parameters are.
      if (!pass.memory)
        place.prepare(
          shape,
          inputs.map((each) => each.shape.slice(1)),
        );
      const seen = pass.inputs.indexOf(x);
      if (seen >= 0) place.sees.add(seen);
      for (const { penalty, trainable, node } of own.values()) {
        if (penalty && trainable) pass.penalties.set(node, penalty(node));
      }
      let mask = undefined as Node | undefined;
      const output = definition.apply(place.config, {
        x,
        inputs,
        training: pass.training && !place.frozen,
        unrolled: pass.unrolled ?? false,
        parameter: (key) => {
          const { node } = own.get(key)!;
          return pass.updates.get(node) ?? node;
        },
        shared: (wanted) => {
          const node = this.#sharedFrom(name, wanted);
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
        maskOf: (x) => pass.masks.get(x),
        setMask: (next) => {
          mask = next;
        },
        watch: (places) => pass.watched.set(name, places),
        addLoss: (term) => pass.penalties.set({}, term),
        layer: (index, ...given) => this.#applyPlace(place.layers[index], given, pass),
      });
      const masked = inputs.map((input) => pass.masks.get(input)).filter((mask) => mask !== undefined);
      if (masked.length > 0 && !definition.masks)
        throw new ArgumentError(
          "it would mix padding with the rest: some places of its input do not count. Before it take what goes by that, such as a recurrent layer, attention or globalAveragePool1d.",
        );
      if (definition.masks === "places" && masked.length > 0) mask = masked.reduce((a, b) => mul(a, b));
      if (mask) pass.masks.set(output, mask);
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
