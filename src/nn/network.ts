/**
 * A network: layers in a row, their names, their parameters, and how to build their graph. It holds no values and runs
 * nothing.
 */
import { ArgumentError, ChainruleError, ShapeError } from "../errors.ts";
import { input, variable } from "../graph/leaf.ts";
import { inScope, type Node, named } from "../graph/node.ts";
import { type Shape, showShape, sizeOf } from "../graph/shape.ts";
import { add, randomUniform } from "../ops/index.ts";
import { streamKey } from "../random.ts";
import type { Initializer } from "./initializers.ts";
import { type Layer, type LayerKind, layerKind } from "./layer.ts";

/** A parameter or state of a network. */
export interface Parameter {
  /** `dense_1.kernel` */
  readonly name: string;
  readonly node: Node;
  readonly init: Initializer;
  readonly trainable: boolean;
}

export interface NamedLayer {
  /** `dense_1` */
  readonly name: string;
  readonly kind: string;
  readonly description: string;
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  readonly parameters: readonly Parameter[];
}

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

/** One layer with its place in the network. */
interface Place {
  readonly name: string;
  readonly config: unknown;
  readonly kind: LayerKind<unknown>;
  readonly parameters: Map<string, Parameter>;
}

export class Network {
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  readonly seed: number;
  readonly layers: readonly NamedLayer[];
  readonly #places: Place[];

  constructor(inputShape: Shape, seed: number, layers: readonly Layer[]) {
    if (inputShape.some((n) => !Number.isInteger(n) || n < 1)) {
      throw new ArgumentError(
        `The input shape must be whole numbers ≥ 1 without the batch, such as [784]; it is ${showShape(inputShape)}.`,
      );
    }
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new ArgumentError(`The seed must be a whole number ≥ 0; it is ${seed}.`);
    if (layers.length === 0) throw new ArgumentError("A network needs at least one layer, such as dense(10).");
    this.inputShape = inputShape;
    this.seed = seed;
    const counts = new Map<string, number>();
    this.#places = [];
    const described: NamedLayer[] = [];
    let shape = inputShape;
    for (const { kind, config } of layers) {
      const number = (counts.get(kind) ?? 0) + 1;
      counts.set(kind, number);
      const name = `${kind}_${number}`;
      const place = this.#place(name, kind, config, shape);
      this.#places.push(place);
      const { output } = this.#apply([place], input("x", [1, ...shape]), { training: false });
      const outputShape = output.shape.slice(1);
      const description = place.kind.describe?.(config) ?? "";
      described.push({
        name,
        kind,
        description,
        inputShape: shape,
        outputShape,
        parameters: [...place.parameters.values()],
      });
      shape = outputShape;
    }
    this.layers = described;
    this.outputShape = shape;
  }

  /** Every parameter and state, in the order of the layers. */
  get parameters(): readonly Parameter[] {
    return this.layers.flatMap((layer) => layer.parameters);
  }

  get parameterCount(): number {
    return this.parameters.reduce((sum, { node }) => sum + sizeOf(node.shape), 0);
  }

  #place(name: string, kindName: string, config: unknown, shape: Shape): Place {
    const kind = layerKind(kindName);
    const parameters = new Map<string, Parameter>();
    for (const spec of atLayer(name, () => kind.parameters?.(config, shape) ?? [])) {
      const full = `${name}.${spec.name}`;
      parameters.set(spec.name, {
        name: full,
        node: variable(full, spec.shape),
        init: spec.init,
        trainable: spec.trainable ?? true,
      });
    }
    return { name, config, kind, parameters };
  }

  /** Builds the graph of the network for a batch x [B, …input shape]. */
  apply(x: Node, options: ApplyOptions): Applied {
    return this.#apply(this.#places, x, options);
  }

  #apply(places: readonly Place[], x: Node, { training, step }: ApplyOptions): Applied {
    const results = new Map<string, Node>();
    const updates: { variable: Node; value: Node }[] = [];
    let penalty: Node | undefined;
    let value = x;
    for (const { name, config, kind, parameters } of places) {
      let draws = 0;
      value = atLayer(name, () =>
        inScope(name, () =>
          kind.apply(config, {
            x: value,
            training,
            parameter: (own) => parameters.get(own)!.node,
            name: (node, own) => {
              results.set(`${name}.${own}`, node);
              return named(node, `${name}.${own}`);
            },
            uniform: (shape) => {
              if (!step) throw new ArgumentError("Random layers need the number of the step when they train.");
              return randomUniform(step, shape, streamKey(this.seed, `${name}.random${draws++}`));
            },
            update: (own, next) => updates.push({ variable: parameters.get(own)!.node, value: next }),
            addLoss: (term) => {
              penalty = penalty ? add(penalty, term) : term;
            },
          }),
        ),
      );
      results.set(name, value);
    }
    return { output: value, named: results, updates, penalty };
  }
}

/** Puts the layer's name before what goes wrong in it. */
function atLayer<T>(name: string, build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (error instanceof ChainruleError) {
      const Kind = error instanceof ShapeError ? ShapeError : ArgumentError;
      throw new Kind(`Layer ${name}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}
