/**
 * Layers made of layers. All hold their layers and how they are wired, as plain data; they differ in how they are
 * written. Names inside begin with the composite's own: `residual_1.dense_2.kernel`.
 */
import { checkOptionNames, unknownName } from "../../checks.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import type { Node } from "../../graph/node.ts";
import { sameShape, showShape } from "../../graph/shape.ts";
import { add, concat, maximum, mul } from "../../ops/index.ts";
import { defineLayer, type Layer, type LayerKind, type LayerOptions } from "../layer.ts";
import { chained, type Flow, flowThrough, isWiring, traceFlow, type Wiring } from "../wiring.ts";

type Composite = LayerOptions & {
  readonly layers: readonly Layer[];
  readonly wiring?: Wiring;
  /** How many values it takes; one if absent. */
  readonly takes?: number;
};

const COMPOSITE: LayerKind<Composite> = {
  options: [],
  several: true,
  masks: "takes",
  apply: ({ layers, wiring = chained(layers.length), takes = 1 }, { inputs, layer }) => {
    if (inputs.length !== takes)
      throw new ArgumentError(
        `it takes ${takes === 1 ? "one value" : `${takes} values`}, but is applied to ${inputs.length}.${takes === 1 ? " Merge them first." : ""}`,
      );
    if (!isWiring(wiring, layers.length, inputs.length))
      throw new ArgumentError(`its wiring names layers or values that are not there: ${JSON.stringify(wiring)}.`);
    return flowThrough(wiring, inputs, (index, taken) => layer(index, ...taken)).at(-1)!;
  },
  describe: ({ layers }) => `${layers.length} layers`,
};

function wantLayers(kind: string, layers: readonly Layer[]): void {
  if (layers.length === 0) throw new ArgumentError(`${kind} needs at least one layer inside.`);
}

const makeChain = defineLayer<Composite>("chain", COMPOSITE);

/** Layers one after the other, as one layer. */
export function chain(layers: readonly Layer[], options: LayerOptions = {}): Layer {
  wantLayers("chain", layers);
  return makeChain(options, { layers });
}

const makeBlock = defineLayer<Composite>("block", COMPOSITE);

/**
 * A part of a network in the functional form, as one layer; of several values where the function has several parameters.
 *
 * @example
 * const gated = block((x) => merge("multiply", x.to(dense(8)), x.to(dense(8, { activation: "sigmoid" }))));
 * const reading = block((x, memory) => merge("add", x, x.to(multiHeadAttention({ heads: 2 }), memory))); // x.to(reading, memory)
 */
export function block(build: (x: Flow, ...others: Flow[]) => Flow, options: LayerOptions = {}): Layer {
  const takes = Math.max(1, build.length);
  const traced = traceFlow(takes, ([x, ...others]) => build(x, ...others));
  return makeBlock(options, { ...traced, ...(takes > 1 && { takes }) });
}

const makeResidual = defineLayer<Composite>("residual", {
  ...COMPOSITE,
  // The last one is the addition.
  describe: ({ layers }) => `${layers.length - 1} layers`,
});

/**
 * y = x + f(x), where f is some layers in a row (He et al., 2016). Where f changes the shape, `projection`, one layer such
 * as a 1 × 1 convolution, brings x into it: y = p(x) + f(x); it is called `projection`.
 *
 * @example
 * const model = sequential({ input: [16] }, [residual([dense(16, { activation: "relu" }), dense(16)]), activation("relu"), dense(2)]);
 */
export function residual(layers: readonly Layer[], given: LayerOptions & { readonly projection?: Layer } = {}): Layer {
  checkOptionNames("residual", given, ["projection", "name", "trainable"]);
  const { projection, ...options } = given;
  wantLayers("residual", layers);
  const shortcut = projection && { ...projection, config: { name: "projection", ...(projection.config as object) } };
  return makeResidual(
    options,
    traceFlow(1, ([x]) => {
      const f = layers.reduce((value, layer) => value.to({ ...layer }), x);
      return merge("add", shortcut ? x.to(shortcut) : x, f);
    }),
  );
}

const makeBranches = defineLayer<Composite>("branches", COMPOSITE);

/**
 * Several layers on the same input, side by side, whose results are merged: by `concat` along the last axis unless said.
 *
 * @example
 * const inception = branches([conv2d(4, 1), chain([conv2d(4, 1), conv2d(8, 3, { padding: "same" })])]);
 */
export function branches(layers: readonly Layer[], given: LayerOptions & { readonly merge?: MergeName } = {}): Layer {
  checkOptionNames("branches", given, ["merge", "name", "trainable"]);
  const { merge: how = "concat", ...options } = given;
  wantLayers("branches", layers);
  return makeBranches(
    options,
    traceFlow(1, ([x]) => {
      const [first, ...others] = layers.map((layer) => x.to({ ...layer }));
      return merge(how, first, ...others);
    }),
  );
}

const folded =
  (merge: (a: Node, b: Node) => Node) =>
  (xs: readonly Node[]): Node =>
    xs.reduce((a, b) => merge(a, b));

/** The ways in which several values become one. */
const MERGES = {
  add: folded(add),
  average: (xs) => mul(folded(add)(xs), 1 / xs.length),
  multiply: folded(mul),
  maximum: folded(maximum),
  concat: (xs) => concat(xs, xs[0].shape.length - 1),
} as const satisfies Record<string, (xs: readonly Node[]) => Node>;

export type MergeName = keyof typeof MERGES;

const makeMerge = defineLayer<{ readonly how: MergeName } & LayerOptions>("merge", {
  several: true,
  masks: "places",
  apply: ({ how }, { inputs }) => {
    if (how !== "concat" && !inputs.every((x) => sameShape(x.shape, inputs[0].shape))) {
      const shapes = inputs.map((x) => showShape(x.shape.slice(1))).join(" and ");
      throw new ShapeError(
        `${how} needs values of one shape; ${shapes} came. Bring them into one, as with a projection.`,
      );
    }
    return MERGES[how](inputs);
  },
  describe: ({ how }) => how,
});

/**
 * Several values of the functional form as one: element by element, or joined along the last axis.
 *
 * @example
 * const model = functional({ input: [4] }, (x) => merge("add", x.to(dense(3)), x.to(dense(3, { activation: "tanh" }))).to(dense(1)));
 */
export function merge(how: MergeName, first: Flow, ...others: Flow[]): Flow {
  if (!Object.hasOwn(MERGES, how)) throw unknownName("way to merge", how, Object.keys(MERGES));
  return first.to(makeMerge({ how }), ...others);
}
