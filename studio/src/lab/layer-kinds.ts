/**
 * The layers that a card can be: their settings, and how TypeScript writes them. One entry each; what makes layers of them is
 * in make-layer.ts, since the page itself holds no library.
 */
import type { Layer } from "chainrule";
import type { LayerSpec } from "./spec.ts";

/** A setting of a card: `more` is folded away until it is asked for. */
export type Field = { readonly name: string; readonly label: string; readonly more?: boolean } & (
  | { readonly kind: "whole" | "fraction"; readonly usual: number; readonly least: number; readonly most: number }
  | { readonly kind: "choice"; readonly usual: string; readonly among: readonly string[] }
  | { readonly kind: "flag"; readonly usual: boolean }
);

export interface LayerCard {
  readonly title: string;
  readonly fields: readonly Field[];
  /** Settings that the maker takes by place; the others are its options. */
  readonly placed: readonly string[];
  /** Only for rows that are pictures. */
  readonly ofPictures?: boolean;
}

/** The library's own names, which a test compares these with: the page would load every op to ask for them. */
export const ACTIVATIONS: readonly string[] =
  "linear relu selu gelu geluTanh silu swish mish softplus softsign tanh sigmoid hardSwish softmax logSoftmax leakyRelu elu hardSigmoid".split(
    " ",
  );
export const OPTIMIZERS: readonly string[] = "sgd adagrad adadelta rmsprop adam adamw nadam lion".split(" ");
const whole = (name: string, label: string, usual: number, most: number): Field => ({
  ...{ name, label, kind: "whole", usual, least: 1, most },
});
const activationField = (usual: string): Field => ({
  ...{ name: "activation", label: "activation", kind: "choice", usual, among: ACTIVATIONS },
});
/** How strongly weights are held back: λ · Σ|w| and λ · Σw² are added to the loss. */
const PENALTIES: readonly Field[] = ["l1", "l2"].map((name) => ({
  ...{ name, label: `${name} penalty`, kind: "fraction", usual: 0, least: 0, most: 10, more: true },
}));
/** "usual" is the one that suits the activation, which the library chooses. */
const USUAL = "usual";
const INITS = [USUAL, "glorotUniform", "he", "lecun", "orthogonal", "zeros"];

export const LAYER_CARDS: Readonly<Record<string, LayerCard>> = {
  dense: {
    title: "dense",
    fields: [
      whole("units", "units", 8, 1024),
      activationField("relu"),
      { name: "bias", label: "bias", kind: "flag", usual: true, more: true },
      { name: "init", label: "first weights", kind: "choice", usual: USUAL, among: INITS, more: true },
      ...PENALTIES,
    ],
    placed: ["units"],
  },
  activation: {
    title: "activation",
    fields: [{ name: "activation", label: "function", kind: "choice", usual: "relu", among: ACTIVATIONS }],
    placed: ["activation"],
  },
  dropout: {
    title: "dropout",
    fields: [{ name: "rate", label: "rate", kind: "fraction", usual: 0.2, least: 0, most: 0.9 }],
    placed: ["rate"],
  },
  batchNorm: { title: "batchNorm", fields: [], placed: [] },
  layerNorm: { title: "layerNorm", fields: [], placed: [] },
  conv2d: {
    title: "conv2d",
    fields: [
      whole("filters", "filters", 8, 64),
      whole("size", "size", 3, 7),
      activationField("relu"),
      { name: "padding", label: "border", kind: "choice", usual: "valid", among: ["valid", "same"] },
      ...PENALTIES,
    ],
    placed: ["filters", "size"],
    ofPictures: true,
  },
  maxPool2d: {
    title: "maxPool2d",
    fields: [whole("size", "size", 2, 8)],
    placed: ["size"],
    ofPictures: true,
  },
  averagePool2d: {
    title: "averagePool2d",
    fields: [whole("size", "size", 2, 8)],
    placed: ["size"],
    ofPictures: true,
  },
  globalAveragePool2d: {
    title: "globalAveragePool2d",
    fields: [],
    placed: [],
    ofPictures: true,
  },
};

/** A card of a kind with its usual settings. */
export const newLayer = (kind: string): LayerSpec => ({
  kind,
  config: Object.fromEntries(LAYER_CARDS[kind].fields.map(({ name, usual }) => [name, usual])),
});

/** What is said of a layer beyond what is usual: the library's own defaults stay out. */
export const said = ({ kind, config }: LayerSpec): LayerSpec["config"] => {
  const usual = new Map(LAYER_CARDS[kind].fields.filter(({ more }) => more).map((field) => [field.name, field.usual]));
  return Object.fromEntries(Object.entries(config).filter(([name, value]) => value !== (usual.get(name) ?? USUAL)));
};

/** The card of a layer of a model file; none where no card has such settings. */
export function cardOf({ kind, config }: Layer): LayerSpec | undefined {
  if (!Object.hasOwn(LAYER_CARDS, kind)) return undefined;
  const spec: LayerSpec = { kind, config: config as LayerSpec["config"] };
  return isCard(spec) ? spec : undefined;
}

/** Whether each setting is one that the card has, within its limits. */
export function isCard({ kind, config }: LayerSpec): boolean {
  const { fields } = LAYER_CARDS[kind];
  return Object.entries(config).every(([name, value]) => {
    const field = fields.find((each) => each.name === name);
    if (!field) return false;
    if (field.kind === "flag") return typeof value === "boolean";
    if (field.kind === "choice") return field.among.includes(String(value));
    return typeof value === "number" && value >= field.least && value <= field.most;
  });
}

/** A layer as TypeScript: `dense(8, { activation: "tanh" })`; what is usual is left out. */
export function layerCode(layer: LayerSpec): string {
  const { kind, config } = layer;
  const { placed, fields } = LAYER_CARDS[kind];
  const own = said(layer);
  const options = fields
    .filter(({ name }) => !placed.includes(name) && name in own)
    .filter(({ name }) => !(name === "padding" && config[name] === "valid"))
    .map(({ name }) => `${name}: ${JSON.stringify(config[name])}`);
  const parts = placed.map((name) => JSON.stringify(config[name]));
  if (options.length > 0) parts.push(`{ ${options.join(", ")} }`);
  return `${kind}(${parts.join(", ")})`;
}
