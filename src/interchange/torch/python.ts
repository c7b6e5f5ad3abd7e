/**
 * A network as the text of a PyTorch module: what each kind of layer is called there, and what must be turned so that images have their channels
 * first. Its submodules have the layers' names, so that its state dict has the names that the weights are written under.
 */
import { PlatformError } from "../../errors.ts";
import type { Shape } from "../../graph/shape.ts";
import { parseCall } from "../../nn/call.ts";
import type { NamedLayer, Network } from "../../nn/network.ts";
import { type PaddingOption, type Pair, spanOf, toPair, toSliding } from "../../ops/window.ts";
import { isOfTorch } from "./forms.ts";
import { type Layout, layoutAfter, layoutOfInput, numbersOf, type Place, type Segment, walk } from "./places.ts";
import type { Helper } from "./python-helpers.ts";

/** A value of the module: its expression, and how it lies. */
interface Value {
  readonly code: string;
  readonly layout: Layout;
  /** Its number in the order in which values are made. */
  readonly id: number;
}

type Config = Readonly<Record<string, unknown>>;

const py = (value: unknown): string => {
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return value.length === 1 ? `(${py(value[0])},)` : `(${value.map(py).join(", ")})`;
  return String(value);
};

/** (a, b), or a where both are one. */
const pair = ([a, b]: readonly unknown[]): string => (a === b ? py(a) : py([a, b]));

const KEYWORDS =
  /^(False|None|True|and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield)$/;
/** What every module of PyTorch has under a name without a line before it. */
const OF_MODULES =
  /^(T_destination|add_module|apply|bfloat16|buffers|call_super_init|children|compile|cpu|cuda|double|dump_patches|eval|extra_repr|float|forward|get_.*|half|ipu|load_state_dict|load|modules|mtia|named_.*|parameters|register_.*|requires_grad_|set_.*|share_memory|state_dict|to|to_empty|train|training|type|xpu|zero_grad)$/;

/** A layer's name as Python writes an attribute. */
export const attribute = (name: string): string => {
  const word = name.replaceAll(/[^A-Za-z0-9_]/g, "_").replace(/^(?=\d)/, "_");
  return KEYWORDS.test(word) || OF_MODULES.test(word) ? `${word}_` : word;
};

/** An input's name as Python writes an argument, which no name of the module's own is. */
const argument = (name: string): string =>
  /^(x\d*|self|torch|nn|F|os|json)$/.test(attribute(name)) ? `${attribute(name)}_` : attribute(name);

/** The way to a layer: `residual_1.conv2d_2`. */
export const attributes = (name: string): string => name.split(".").map(attribute).join(".");

/** z through an activation; `dim` is where its features are. Undefined for one that is not known. */
function activated(name: string, z: string, dim: number): string | undefined {
  const { name: kind, parameter } = parseCall(name);
  const number = (usual: number) => parameter ?? usual;
  const forms: Readonly<Record<string, string>> = {
    linear: z,
    relu: `F.relu(${z})`,
    selu: `F.selu(${z})`,
    gelu: `F.gelu(${z})`,
    geluTanh: `F.gelu(${z}, approximate="tanh")`,
    silu: `F.silu(${z})`,
    swish: `F.silu(${z})`,
    mish: `F.mish(${z})`,
    softplus: `F.softplus(${z})`,
    softsign: `F.softsign(${z})`,
    tanh: `torch.tanh(${z})`,
    sigmoid: `torch.sigmoid(${z})`,
    hardSigmoid: `F.hardsigmoid(${z})`,
    hardSwish: `F.hardswish(${z})`,
    leakyRelu: `F.leaky_relu(${z}, ${number(0.01)})`,
    elu: `F.elu(${z}, ${number(1)})`,
    softmax: `F.softmax(${z}, ${dim})`,
    logSoftmax: `F.log_softmax(${z}, ${dim})`,
  };
  return Object.hasOwn(forms, kind) ? forms[kind] : undefined;
}

/** Padding of sequences, written out: (before, after). */
function paddingOfRow({ size, stride = 1, dilation = 1, padding = 0 }: Config, length: number): Pair {
  const [window, step, apart] = [size as number, stride as number, dilation as number];
  if (padding === "causal") return [spanOf(window, apart) - 1, 0];
  const rows =
    padding === "same" || padding === "valid" ? padding : ([[0, 0], toPair(padding as number | Pair)] as const);
  const options = { stride: [1, step], dilation: [1, apart], padding: rows as PaddingOption } as const;
  return toSliding(options, [1, length], [1, window]).padding[1];
}

/** Writes the module. */
export class PythonWriter {
  readonly #places: ReadonlyMap<string, Place>;
  readonly #network: Network;
  readonly helpers = new Set<Helper>();
  /** What the constructor does, and what `forward` does. */
  readonly made: string[] = [];
  readonly lines: string[] = [];
  readonly #unknown: string[] = [];
  readonly #known = new Set<string>();
  /** How often each value is used. */
  readonly #uses: number[] = [];
  #count = 0;
  #names = 0;

  constructor(network: Network, places: readonly Place[]) {
    this.#network = network;
    this.#places = new Map(places.map((place) => [place.layer.name, place]));
  }

  /** Writes it all; gives the names of the arguments and of the results. */
  write(): { inputs: string[]; outputs: string[] } {
    const { inputs, layers, connections } = this.#network;
    this.#countUses();
    this.#declare(layers, "self");
    const given = inputs.map(
      (port, id): Value => ({
        code: port.name === undefined ? "x" : argument(port.name),
        layout: layoutOfInput(port),
        id,
      }),
    );
    this.#count = inputs.length;
    const values = walk(layers, connections.wiring, given, (layer, taken) => this.#apply(layer, taken));
    const results = this.#resultsOf(values);
    if (this.#unknown.length > 0)
      throw new PlatformError(
        `toTorch: PyTorch has nothing for ${this.#unknown.join("; ")}. Write the model as ONNX instead.`,
        {
          facts: { unknown: this.#unknown },
        },
      );
    return { inputs: given.map(({ code }) => code), outputs: results.map(asGiven) };
  }

  #countUses(): void {
    const { inputs, layers, connections } = this.#network;
    let count = inputs.length;
    for (let i = 0; i < count; i++) this.#uses[i] = 0;
    const values = walk(layers, connections.wiring, [...inputs.keys()], (_, taken) => {
      for (const value of taken) this.#uses[value]++;
      this.#uses[count] = 0;
      return count++;
    });
    for (const result of this.#resultsOf(values)) this.#uses[result]++;
  }

  /** The values that are given out. */
  #resultsOf<V>(values: readonly V[]): V[] {
    const { outputs } = this.#network.connections;
    if (!outputs) return [values[values.length - 1]];
    return Object.entries(outputs).flatMap(([name, value]) => {
      if (typeof value === "number") return [values[value]];
      this.#refuse(`the output "${name}", which is a layer's own ${value}`);
      return [];
    });
  }

  /** Makes the submodules, those of layers in layers inside of theirs. */
  #declare(layers: readonly NamedLayer[], owner: string): void {
    for (const layer of layers) {
      const own = `${owner}.${attribute(layer.name.slice(layer.name.lastIndexOf(".") + 1))}`;
      if (layer.layers.length > 0) {
        const before = this.made.length;
        this.#declare(layer.layers, own);
        if (this.made.length > before) this.made.splice(before, 0, `${own} = nn.Module()`);
        continue;
      }
      const module = this.#moduleOf(layer);
      if (module === undefined) continue;
      this.made.push(`${own} = ${module}`);
      const isFrozen = layer.parameters.length > 0 && (layer.config as Config).trainable === false;
      if (isFrozen) this.made.push(`${own}.requires_grad_(False)`);
      // The second bias is 0 and stays so: both would move as one twice as fast.
      else if (["lstm", "simpleRnn"].includes(layer.kind) && (layer.config as Config).bias !== false)
        this.made.push(`${own}.bias_hh_l0.requires_grad_(False)`);
    }
  }

  #helper(name: Helper): Helper {
    this.helpers.add(name);
    return name;
  }

  #refuse(what: string): void {
    if (!this.#known.has(what)) this.#unknown.push(what);
    this.#known.add(what);
  }

  /** The module that a layer is; undefined if it needs none. */
  #moduleOf({ name, kind, config, inputShape, outputShape, parameters }: NamedLayer): string | undefined {
    const options = config as Config;
    const features = inputShape[inputShape.length - 1];
    const bias = options.bias === false ? ", bias=False" : "";
    switch (kind) {
      case "dense":
        return `nn.Linear(${features}, ${options.units}${bias})`;
      case "conv2d":
      case "depthwiseConv2d":
      case "conv2dTranspose": {
        const {
          size,
          stride = 1,
          dilation = 1,
          groups = 1,
        } = options as { size: number; stride?: number; dilation?: number; groups?: number };
        const transposed = kind === "conv2dTranspose" ? this.#transposed(name, options, inputShape) : undefined;
        const padding = transposed ? transposed.padding : (this.#padding(options, inputShape).inside ?? 0);
        const parts = [
          features,
          outputShape[2],
          pair(toPair(size)),
          ...keyword("stride", pair(toPair(stride)), "1"),
          ...keyword("padding", String(padding), "0"),
          ...(transposed ? keyword("output_padding", transposed.extra, "0") : []),
          ...keyword("dilation", pair(toPair(dilation)), "1"),
          ...keyword("groups", String(kind === "depthwiseConv2d" ? features : groups), "1"),
        ];
        return `nn.${transposed ? "ConvTranspose2d" : "Conv2d"}(${parts.join(", ")}${bias})`;
      }
      case "conv1d": {
        const { size, stride = 1, dilation = 1, groups = 1 } = options;
        const [before, after] = paddingOfRow(options, inputShape[0]);
        const parts = [
          features,
          outputShape[1],
          size,
          ...keyword("stride", String(stride), "1"),
          ...keyword("padding", String(before === after ? before : 0), "0"),
          ...keyword("dilation", String(dilation), "1"),
          ...keyword("groups", String(groups), "1"),
        ];
        return `nn.Conv1d(${parts.join(", ")}${bias})`;
      }
      case "batchNorm": {
        const { epsilon = 1e-5, momentum = 0.9 } = options as { epsilon?: number; momentum?: number };
        const axes = inputShape.length === 3 ? 2 : 1;
        return `nn.BatchNorm${axes}d(${features}, eps=${epsilon}, momentum=${Number((1 - momentum).toPrecision(12))})`;
      }
      case "layerNorm":
        return `nn.LayerNorm(${features}, eps=${options.epsilon ?? 1e-5})`;
      case "rmsNorm":
        return `${this.#helper("RMSNorm")}(${features}, ${options.epsilon ?? 1e-5})`;
      case "normalize":
        return `${this.#helper("Normalize")}(${features}, ${inputShape.length === 3 ? 2 : 0})`;
      case "dropout":
        return `nn.Dropout(${options.rate})`;
      case "spatialDropout":
        return `nn.Dropout${inputShape.length === 3 ? "2d" : "1d"}(${options.rate})`;
      case "embedding":
        if (options.maskZero === true) this.#refuse(`${name} (an embedding that marks padding)`);
        return `nn.Embedding(${options.vocabulary}, ${options.units})`;
      case "positions":
        return parameters.length > 0 ? `${this.#helper("Positions")}(${inputShape.join(", ")})` : undefined;
      case "simpleRnn":
      case "lstm":
      case "gru": {
        const layer = { kind, config } as NamedLayer;
        if (!isOfTorch(layer)) {
          this.#refuse(`${name} (${kind} with other activations or the reset gate before the product)`);
          return undefined;
        }
        const relu = options.activation === "relu" ? ', nonlinearity="relu"' : "";
        const module = { simpleRnn: "RNN", lstm: "LSTM", gru: "GRU" }[kind];
        return `nn.${module}(${features}, ${options.units}, batch_first=True${bias}${relu})`;
      }
      case "multiHeadAttention": {
        if (parameters.some((parameter) => parameter.name.endsWith(".keyKernel"))) {
          this.#refuse(`${name} (attention to another sequence)`);
          return undefined;
        }
        const {
          heads,
          keyHeads = heads,
          headSize = features / (heads as number),
          rotary = false,
          dropout = 0,
        } = options;
        // PyTorch 1.13 cannot evaluate its own without biases.
        const isPlain =
          keyHeads === heads &&
          (headSize as number) * (heads as number) === features &&
          !rotary &&
          options.bias !== false;
        if (isPlain)
          return `nn.MultiheadAttention(${[features, heads, ...keyword("dropout", String(dropout), "0")].join(", ")}, batch_first=True)`;
        return `${this.#helper("Attention")}(${[features, heads, keyHeads, headSize, rotary, dropout, options.bias ?? true].map(py).join(", ")})`;
      }
      default:
        if (parameters.length > 0) this.#refuse(`${name} (${kind})`);
        return undefined;
    }
  }

  /** A window's padding: in the module where both ends are alike, else by `F.pad`: (left, right, top, bottom). */
  #padding(options: Config, [h, w]: Shape): { inside?: string; around?: string } {
    const { size, ...sliding } = options as { size: number | Pair; stride?: number | Pair };
    const { padding } = toSliding(sliding, [h, w], toPair(size) as Pair);
    const [[top, bottom], [left, right]] = padding;
    if (top === bottom && left === right) return { inside: pair([top, left]) };
    return { around: py([left, right, top, bottom]) };
  }

  /** How a transposed convolution makes images of the right size: its padding, what is added, and what is cut off. */
  #transposed(
    name: string,
    options: Config,
    [h, w]: Shape,
  ): { padding: string; extra: string; cut: readonly number[] | undefined } {
    const { size, stride, dilation, padding, outputPadding } = options as {
      size: number | Pair;
      stride?: number | Pair;
      dilation?: number | Pair;
      padding?: PaddingOption;
      outputPadding?: number | Pair;
    };
    const steps = toPair(stride ?? 1) as Pair;
    const enlarged = [h * steps[0], w * steps[1]] as const;
    const window = toPair(size) as Pair;
    const way = toSliding({ stride: steps, dilation, padding }, enlarged, window);
    const added = toPair(outputPadding ?? 0);
    const parts = ([0, 1] as const).map((axis) => {
      const [before, after] = way.padding[axis];
      const full = enlarged[axis] - steps[axis] + spanOf(window[axis], way.dilation[axis]);
      const wanted = padding === "same" ? enlarged[axis] : full - before - after + added[axis];
      const extra = wanted - (full - 2 * before);
      if (extra >= Math.max(steps[axis], way.dilation[axis]) && extra > 0)
        this.#refuse(`${name} (a padding of ${before} and ${after} that needs ${extra} more rows)`);
      return { before, extra, wanted };
    });
    return {
      padding: pair(parts.map(({ before }) => before)),
      extra: pair(parts.map(({ extra }) => Math.max(0, extra))),
      cut: parts.some(({ extra }) => extra < 0) ? parts.map(({ wanted }) => wanted) : undefined,
    };
  }

  #apply(layer: NamedLayer, taken: readonly Value[]): Value {
    const place = this.#places.get(layer.name);
    const layout = layoutAfter(
      layer,
      taken.map((value) => value.layout),
      place,
    );
    const id = this.#count++;
    for (const { id } of taken) this.#uses[id]--;
    const code = this.#expression(layer, taken, layout);
    const [first] = taken;
    // A value that is not needed any more gives its name to the next one.
    const isFree = this.#uses[first.id] === 0;
    if (code === first.code && isFree) return { code, layout, id };
    const name = isFree && /^x\d*$/.test(first.code) ? first.code : `x${++this.#names}`;
    this.lines.push(`${name} = ${code}`);
    return { code: name, layout, id };
  }

  /** What a layer makes of its inputs, in the layout that it has. */
  #expression(layer: NamedLayer, taken: readonly Value[], layout: Layout): string {
    const { name, kind, inputShape, outputShape } = layer;
    const options = layer.config as Config;
    const [x] = taken;
    const self = `self.${attributes(name)}`;
    const rank = inputShape.length;
    const active = (z: string, isFirst = layout.first): string => {
      const { activation = "linear" } = options as { activation?: string };
      const code = activated(activation, z, isFirst && outputShape.length > 1 ? 1 : -1);
      if (code === undefined) this.#refuse(`${name} (the activation "${activation}")`);
      return code ?? z;
    };
    switch (kind) {
      case "dense":
        return active(`${self}(${lastOf(x)})`);
      case "conv2d":
      case "depthwiseConv2d": {
        const { around } = this.#padding(options, inputShape);
        return active(`${self}(${around ? `F.pad(${firstOf(x)}, ${around})` : firstOf(x)})`);
      }
      case "conv2dTranspose": {
        const { cut } = this.#transposed(name, options, inputShape);
        return active(`${self}(${firstOf(x)})${cut ? `[:, :, :${cut[0]}, :${cut[1]}]` : ""}`);
      }
      case "conv1d": {
        const padding = paddingOfRow(options, inputShape[0]);
        const around = padding[0] === padding[1] ? firstOf(x) : `F.pad(${firstOf(x)}, ${py(padding)})`;
        return active(`${self}(${around})`);
      }
      case "maxPool2d":
      case "averagePool2d":
      case "maxPool1d":
      case "averagePool1d":
        return pooled(kind, options, inputShape, firstOf(x), this.#padding.bind(this));
      case "globalAveragePool2d":
        return `${firstOf(x)}.mean((2, 3))`;
      case "globalMaxPool2d":
        return `${firstOf(x)}.amax((2, 3))`;
      case "globalAveragePool1d":
        return `${x.code}.mean(${x.layout.first ? 2 : 1})`;
      case "globalMaxPool1d":
        return `${x.code}.amax(${x.layout.first ? 2 : 1})`;
      case "zeroPadding2d": {
        const [[top, bottom], [left, right]] = toSliding(
          { padding: options.padding as PaddingOption },
          [1, 1],
          [1, 1],
        ).padding;
        return `F.pad(${firstOf(x)}, ${py([left, right, top, bottom])})`;
      }
      case "upsampling2d": {
        const scale = toPair(options.scale as number | Pair);
        return `F.interpolate(${firstOf(x)}, scale_factor=${py([...scale])}, mode="nearest")`;
      }
      case "batchNorm":
      case "spatialDropout":
      case "normalize": {
        // PyTorch takes these with the channels first; statistics of sequences with the features last.
        if (kind === "normalize" && rank === 2) return sameLayout(x, layout, (y) => `${self}(${y})`, false);
        if (rank === 1) return `${self}(${x.code})`;
        return sameLayout(x, layout, (y) => `${self}(${y})`, true);
      }
      case "layerNorm":
      case "rmsNorm":
        return rank === 3 ? `${self}(${x.code}.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)` : `${self}(${lastOf(x)})`;
      case "dropout":
        return `${self}(${x.code})`;
      case "rescale":
        return `${x.code} * ${options.scale}`;
      case "activation":
        return active(x.code, x.layout.first);
      case "embedding":
        return `${self}(${x.code}.long())`;
      case "positions":
        return layer.parameters.length > 0
          ? `${self}(${lastOf(x)})`
          : `${lastOf(x)} + ${this.#helper("sinusoidal")}(${lastOf(x)})`;
      case "simpleRnn":
      case "lstm":
      case "gru": {
        const { sequences = false, backwards = false } = options as { sequences?: boolean; backwards?: boolean };
        const given = backwards ? `${lastOf(x)}.flip(1)` : lastOf(x);
        const states = `${self}(${given})[0]`;
        if (!sequences) return `${states}[:, -1]`;
        return backwards ? `${states}.flip(1)` : states;
      }
      case "multiHeadAttention": {
        const { causal = false } = options as { causal?: boolean };
        const y = lastOf(x);
        const mask = `torch.full((${inputShape[0]}, ${inputShape[0]}), float("-inf"), device=x.device).triu(1)`.replace(
          "x.device",
          `${x.code}.device`,
        );
        const isPlain = this.made.some((line) => line.startsWith(`${self} = nn.MultiheadAttention`));
        if (!isPlain) return `${self}(${y}${causal ? `, ${mask}` : ""})`;
        return `${self}(${y}, ${y}, ${y}, need_weights=False${causal ? `, attn_mask=${mask}` : ""})[0]`;
      }
      case "flatten":
        return rank === 1 ? x.code : `${x.code}.flatten(1)`;
      case "reshape":
        return reshaped(x, layout, outputShape);
      case "merge":
        return mergedCode(options.how as string, taken, layout);
      default:
        this.#refuse(`${name} (${kind})`);
        return x.code;
    }
  }
}

const keyword = (name: string, value: string, usual: string): string[] => (value === usual ? [] : [`${name}=${value}`]);

/** A sequence or an image with its channels first. */
const firstOf = ({ code, layout }: Value): string => {
  if (layout.first || layout.shape.length === 1) return code;
  return layout.shape.length === 2 ? `${code}.transpose(1, 2)` : `${code}.permute(0, 3, 1, 2)`;
};

/** A sequence or an image with its features last. */
const lastOf = ({ code, layout }: Value): string => {
  if (!layout.first || layout.shape.length === 1) return code;
  return layout.shape.length === 2 ? `${code}.transpose(1, 2)` : `${code}.permute(0, 2, 3, 1)`;
};

/** Something that is done with the channels first, or last, and leaves the layout as it was. */
function sameLayout(x: Value, { first, shape }: Layout, apply: (y: string) => string, wantsFirst: boolean): string {
  const result = apply(wantsFirst ? firstOf(x) : lastOf(x));
  if (first === wantsFirst) return result;
  if (shape.length === 2) return `${result}.transpose(1, 2)`;
  return wantsFirst ? `${result}.permute(0, 2, 3, 1)` : `${result}.permute(0, 3, 1, 2)`;
}

/** Features in a row, in our order. */
function inOurOrder({ code, layout }: Value): string {
  const { row } = layout;
  if (!row || !numbersOf(row)) return code;
  const one = ({ shape }: Segment, part: string): string => {
    if (!shape) return part;
    const [channels, ...places] = [shape[shape.length - 1], ...shape.slice(0, -1)];
    const axes = places.length === 1 ? "0, 2, 1" : "0, 2, 3, 1";
    return `${part}.unflatten(1, ${py([channels, ...places])}).permute(${axes}).flatten(1)`;
  };
  if (row.length === 1) return one(row[0], code);
  let at = 0;
  const parts = row.map((segment) => {
    at += segment.size;
    return one(segment, `${code}[:, ${at - segment.size}:${at}]`);
  });
  return `torch.cat([${parts.join(", ")}], 1)`;
}

/** As the module gives it out: images with their channels first, all else as ours is. */
const asGiven = (x: Value): string => {
  const { length } = x.layout.shape;
  return length === 1 ? inOurOrder(x) : length === 2 ? lastOf(x) : firstOf(x);
};

function reshaped(x: Value, layout: Layout, shape: Shape): string {
  const { layout: from } = x;
  if (shape.length === 1) return from.shape.length === 1 ? x.code : `${x.code}.flatten(1)`;
  const channelsFirst = [shape[shape.length - 1], ...shape.slice(0, -1)];
  // What layers of features made for it, or what was such an image, is one with its channels first already.
  const [only] = from.row ?? [];
  const wasSame = from.row?.length === 1 && only.shape?.join() === shape.join();
  const isMade =
    shape.length === 3 && from.shape.length === 1 && (wasSame || (!numbersOf(from.row) && from.makers.length > 0));
  if (isMade) return `${x.code}.unflatten(1, ${py(channelsFirst)})`;
  const flat =
    from.shape.length === 1 ? inOurOrder(x) : from.first ? `${lastOf(x)}.flatten(1)` : `${x.code}.flatten(1)`;
  const array = `${flat}.unflatten(1, ${py([...shape])})`;
  return layout.first ? `${array}.permute(0, 3, 1, 2)` : array;
}

function mergedCode(how: string, taken: readonly Value[], { first, shape, row }: Layout): string {
  const wanted = numbersOf(row);
  const parts = taken.map((value) => {
    if (shape.length > 1) return first ? firstOf(value) : lastOf(value);
    // In the order of the image that one of them was, which layers of features have already.
    const isFree = !numbersOf(value.layout.row) && value.layout.makers.length === 0;
    if (how !== "concat" && wanted && isFree && row?.length === 1 && row[0].shape) {
      const own = row[0].shape;
      const axes = own.length === 2 ? "0, 2, 1" : "0, 3, 1, 2";
      return `${value.code}.unflatten(1, ${py([...own])}).permute(${axes}).flatten(1)`;
    }
    return value.code;
  });
  switch (how) {
    case "multiply":
      return parts.join(" * ");
    case "average":
      return `(${parts.join(" + ")}) / ${parts.length}`;
    case "maximum":
      return parts.reduce((a, b) => `torch.maximum(${a}, ${b})`);
    case "concat":
      return `torch.cat([${parts.join(", ")}], ${shape.length > 1 && !first ? shape.length : 1})`;
    default:
      return parts.join(" + ");
  }
}

/** Pooling; where the ends are padded differently, by hand. */
function pooled(
  kind: string,
  options: Config,
  shape: Shape,
  x: string,
  paddingOf: (options: Config, shape: Shape) => { inside?: string; around?: string },
): string {
  const isRow = kind.endsWith("1d");
  const isMax = kind.startsWith("max");
  const { size, stride = size } = options as { size: number | Pair; stride?: number | Pair };
  const [before, after] = isRow ? paddingOfRow({ ...options, stride }, shape[0]) : [0, 0];
  const { inside, around } = isRow
    ? before === after
      ? { inside: String(before) }
      : { around: py([before, after]) }
    : paddingOf({ ...options, stride }, shape);
  const [window, step] = [size, stride].map((value) => (isRow ? String(value) : pair(toPair(value))));
  const call = `F.${isMax ? "max" : "avg"}_pool${isRow ? 1 : 2}d`;
  const halves = (isRow ? [size as number] : toPair(size)).map((n) => Math.floor((n as number) / 2));
  const insides = inside === undefined ? [] : inside.match(/\d+/g)!.map(Number);
  const isSmall = insides.every(
    (n, axis) => n <= halves[axis] || (insides.length === 1 && halves.every((half) => n <= half)),
  );
  if (inside !== undefined && isSmall) {
    const padding = keyword("padding", inside, "0");
    const counting = padding.length > 0 && !isMax ? ["count_include_pad=False"] : [];
    return `${call}(${[x, window, step, ...padding, ...counting].join(", ")})`;
  }
  const wide = around ?? (isRow ? py([before, after]) : py([insides.at(-1), insides.at(-1), insides[0], insides[0]]));
  if (isMax) return `${call}(F.pad(${x}, ${wide}, value=float("-inf")), ${window}, ${step})`;
  const average = (y: string): string => `${call}(F.pad(${y}, ${wide}), ${window}, ${step})`;
  return `${average(x)} / ${average(`torch.ones_like(${x})`)}`;
}
