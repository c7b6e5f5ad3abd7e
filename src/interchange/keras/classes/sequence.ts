/** Keras's recurrent layers, both directions, and attention of a sequence to itself. */
import { show } from "../../../checks.ts";
import type { Layer } from "../../../nn/layer.ts";
import { bidirectional, gru, lstm, multiHeadAttention, simpleRnn } from "../../../nn/layers/index.ts";
import type { Settings } from "../settings.ts";
import type { KerasArray } from "../weights.ts";
import { activationName, type LayerPlace, type Part, reshaped, type Translate, type Weights } from "./place.ts";

/** What all recurrent layers have. */
function recurrentOptions({ settings }: LayerPlace) {
  if (settings.flag("return_state", false))
    throw settings.unsupported("gives its state beside its output (return_state), which layers here do not");
  return {
    sequences: settings.flag("return_sequences", false),
    backwards: settings.flag("go_backwards", false),
    bias: settings.flag("use_bias", true),
  };
}

/** The two kernels, and the biases where there are some. */
function recurrentWeights({ settings, weights }: LayerPlace): Record<string, KerasArray> {
  const cell = weights.within("cell");
  return {
    kernel: cell.next("kernel"),
    recurrentKernel: cell.next("recurrent_kernel"),
    ...(settings.flag("use_bias", true) && { bias: cell.next("bias") }),
  };
}

/** Keras gives states of a layer that goes backwards in the order in which it saw the places; ours in that of the places. */
function checkDirection(settings: Settings): void {
  if (settings.flag("go_backwards", false) && settings.flag("return_sequences", false))
    throw settings.unsupported(
      "goes backwards and gives all places, in another order than ours. Put it into Bidirectional",
    );
}

const simple: Translate = (place) => {
  const options = { ...recurrentOptions(place), activation: activationName(place, "activation", "tanh") };
  return [{ layer: simpleRnn(place.settings.whole("units"), options), values: recurrentWeights(place) }];
};

const shortAndLong: Translate = (place) => {
  const options = {
    ...recurrentOptions(place),
    ...gatesOf(place),
  };
  return [{ layer: lstm(place.settings.whole("units"), options), values: recurrentWeights(place) }];
};

/** The activations of a cell with gates, where they are not the usual ones. */
function gatesOf(place: LayerPlace): { activation?: string; gateActivation?: string } {
  const activation = activationName(place, "activation", "tanh");
  const gateActivation = activationName(place, "recurrent_activation", place.keras === 3 ? "sigmoid" : "hard_sigmoid");
  return {
    ...(activation !== "tanh" && { activation }),
    ...(gateActivation !== "sigmoid" && { gateActivation }),
  };
}

const gated: Translate = (place) => {
  const { settings } = place;
  const resetAfter = settings.flag("reset_after", place.keras === 3);
  const { bias, ...values } = recurrentWeights(place);
  const layer = gru(settings.whole("units"), { ...recurrentOptions(place), ...gatesOf(place), resetAfter });
  if (!bias || !resetAfter) return [{ layer, values: { ...values, ...(bias && { bias }) } }];
  // Keras: [2, 3 units], the bias of the input's product and that of the state's.
  const half = bias.data.length / 2;
  const both = reshaped(bias, [2, half]).data;
  return [
    {
      layer,
      values: {
        ...values,
        bias: { shape: [half], data: both.subarray(0, half) },
        recurrentBias: { shape: [half], data: both.subarray(half) },
      },
    },
  ];
};

const MERGES = new Map([
  ["concat", "concat"],
  ["sum", "add"],
  ["mul", "multiply"],
  ["ave", "average"],
] as const);

/** Names of one direction's weights under the name that its layer has inside of ours. */
const renamed = (values: Part["values"], layer: string): Part["values"] =>
  Object.fromEntries(Object.entries(values ?? {}).map(([name, value]) => [`${layer}.${name}`, value]));

const bothWays: Translate = (place) => {
  const { settings, weights } = place;
  const described = settings.value("layer");
  const one = (direction: "forward" | "backward") =>
    place.inner(described, weights.within(`${direction}_layer`, `${direction}_`));
  const [forward, backward] = [one("forward"), one("backward")];
  const {
    settings: own,
    parts: [{ layer }],
  } = forward;
  if (!["LSTM", "GRU", "SimpleRNN"].includes(own.layer.className))
    throw settings.unsupported(`goes both ways with ${own.layer.className}; LSTM, GRU and SimpleRNN are known there`);
  if (own.flag("go_backwards", false)) throw settings.unsupported("has a first direction that goes backwards");
  const other = settings.value("backward_layer");
  const isOther = (key: string, a: unknown, b: unknown) =>
    key !== "name" && key !== "go_backwards" && show(a) !== show(b);
  if (other !== undefined && differs(described, other, isOther))
    throw settings.unsupported("has two directions that are different layers");
  const merge = MERGES.get(settings.text("merge_mode", "concat") as "concat");
  if (!merge || settings.layer.config.merge_mode === null)
    throw settings.unsupported(
      `has merge_mode ${show(settings.layer.config.merge_mode)}; concat, sum, mul and ave are known`,
    );
  return [
    {
      layer: bidirectional(layer, merge === "concat" ? {} : { merge }),
      values: {
        ...renamed(forward.parts[0].values, `${layer.kind}_1`),
        ...renamed(backward.parts[0].values, `${layer.kind}_2`),
      },
    },
  ];
};

/** Whether two described layers differ in a setting that matters. */
function differs(a: unknown, b: unknown, matters: (key: string, a: unknown, b: unknown) => boolean): boolean {
  const [one, two] = [a, b].map((x) => ((x as { config?: object })?.config ?? {}) as Record<string, unknown>);
  return ["units", "activation", "recurrent_activation", "use_bias", "return_sequences", "reset_after"].some((key) =>
    matters(key, one[key], two[key]),
  );
}

/** Kernels [D, H, K] of queries, keys and values beside each other: [D, 3 H K]. */
function sideBySide(arrays: readonly KerasArray[], rows: number): KerasArray {
  const widths = arrays.map(({ data }) => data.length / rows);
  const width = widths.reduce((a, b) => a + b, 0);
  const data = new Float32Array(rows * width);
  let column = 0;
  for (const [i, array] of arrays.entries()) {
    const flat = reshaped(array, [rows, widths[i]]).data;
    for (let row = 0; row < rows; row++)
      data.set(flat.subarray(row * widths[i], (row + 1) * widths[i]), row * width + column);
    column += widths[i];
  }
  return { shape: rows === 1 ? [width] : [rows, width], data };
}

const attention: Translate = ({ settings, inputs, call, weights, isSelf }) => {
  const [heads, headSize] = [settings.whole("num_heads"), settings.whole("key_dim")];
  if (!isSelf) throw settings.unsupported("attends to another sequence than its own, which is not known here");
  if (settings.whole("value_dim", headSize) !== headSize || settings.value("output_shape") !== undefined)
    throw settings.unsupported("has a value_dim or output_shape of its own, which is not known here");
  if (inputs[0].length !== 2)
    throw settings.unsupported("attends over several axes; sequences [places, features] are known");
  const { attention_mask: mask, return_attention_scores: scores } = call.options;
  if (mask !== undefined || scores === true) throw settings.unsupported("is given a mask, or gives its scores");
  const bias = settings.flag("use_bias", true);
  const own = (path: string, part: string): { kernel: KerasArray; bias?: KerasArray } => {
    const inner: Weights = weights.within(path, part);
    return { kernel: inner.next("kernel"), ...(bias && { bias: inner.next("bias") }) };
  };
  const three = [own("query_dense", "query"), own("key_dense", "key"), own("value_dense", "value")];
  const output = own("output_dense", "attention_output");
  const features = inputs[0][1];
  const layer: Layer = multiHeadAttention({
    heads,
    headSize,
    causal: call.options.use_causal_mask === true,
    bias,
    dropout: settings.number("dropout", 0),
  });
  return [
    {
      layer,
      values: {
        kernel: sideBySide(
          three.map(({ kernel }) => kernel),
          features,
        ),
        outputKernel: reshaped(output.kernel, [heads * headSize, features]),
        ...(bias && {
          bias: sideBySide(
            three.map((each) => each.bias!),
            1,
          ),
          outputBias: reshaped(output.bias!, [features]),
        }),
      },
    },
  ];
};

/** One direction alone, which must give places in our order. */
const alone =
  (translate: Translate): Translate =>
  (place) => {
    checkDirection(place.settings);
    return translate(place);
  };

export const SEQUENCE_CLASSES: Readonly<Record<string, Translate>> = {
  SimpleRNN: alone(simple),
  LSTM: alone(shortAndLong),
  GRU: alone(gated),
  Bidirectional: bothWays,
  MultiHeadAttention: attention,
};
