/**
 * The layers that a card can be: their settings, the layer they make, and how TypeScript writes it. One entry each; the
 * cards, the lab and the code all read it.
 */
import {
  activation,
  activationNames,
  averagePool2d,
  batchNorm,
  conv2d,
  dense,
  dropout,
  globalAveragePool2d,
  type Layer,
  layerNorm,
  maxPool2d,
} from "chainrule";
import type { LayerSpec } from "./spec.ts";

/** A setting of a card: `more` is folded away until it is asked for. */
export type Field = { readonly name: string; readonly label: string; readonly more?: boolean } & (
  | { readonly kind: "whole" | "fraction"; readonly usual: number; readonly least: number; readonly most: number }
  | { readonly kind: "choice"; readonly usual: string; readonly among: readonly string[] }
);

export interface LayerCard {
  readonly title: string;
  readonly fields: readonly Field[];
  /** Settings that the maker takes by place; the others are its options. */
  readonly placed: readonly string[];
  /** Only for rows that are pictures. */
  readonly ofPictures?: boolean;
  make(config: LayerSpec["config"]): Layer;
}

const ACTIVATIONS = activationNames();
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

// biome-ignore lint/suspicious/noExplicitAny: settings are what the fields say.
type Config = any;

export const LAYER_CARDS: Readonly<Record<string, LayerCard>> = {
  dense: {
    title: "dense",
    fields: [
      whole("units", "units", 8, 1024),
      activationField("relu"),
      { name: "init", label: "first weights", kind: "choice", usual: USUAL, among: INITS, more: true },
      ...PENALTIES,
    ],
    placed: ["units"],
    make: ({ units, ...options }: Config) => dense(units, options),
  },
  activation: {
    title: "activation",
    fields: [{ name: "activation", label: "function", kind: "choice", usual: "relu", among: ACTIVATIONS }],
    placed: ["activation"],
    make: ({ activation: name }: Config) => activation(name),
  },
  dropout: {
    title: "dropout",
    fields: [{ name: "rate", label: "rate", kind: "fraction", usual: 0.2, least: 0, most: 0.9 }],
    placed: ["rate"],
    make: ({ rate }: Config) => dropout(rate),
  },
  batchNorm: { title: "batchNorm", fields: [], placed: [], make: () => batchNorm() },
  layerNorm: { title: "layerNorm", fields: [], placed: [], make: () => layerNorm() },
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
    make: ({ filters, size, ...options }: Config) => conv2d(filters, size, options),
  },
  maxPool2d: {
    title: "maxPool2d",
    fields: [whole("size", "size", 2, 8)],
    placed: ["size"],
    ofPictures: true,
    make: ({ size }: Config) => maxPool2d(size),
  },
  averagePool2d: {
    title: "averagePool2d",
    fields: [whole("size", "size", 2, 8)],
    placed: ["size"],
    ofPictures: true,
    make: ({ size }: Config) => averagePool2d(size),
  },
  globalAveragePool2d: {
    title: "globalAveragePool2d",
    fields: [],
    placed: [],
    ofPictures: true,
    make: () => globalAveragePool2d(),
  },
};

/** A card of a kind with its usual settings. */
export const newLayer = (kind: string): LayerSpec => ({
  kind,
  config: Object.fromEntries(LAYER_CARDS[kind].fields.map(({ name, usual }) => [name, usual])),
});

/** What is said of a layer beyond what is usual: the library's own defaults stay out. */
const said = ({ kind, config }: LayerSpec): LayerSpec["config"] => {
  const usual = new Map(LAYER_CARDS[kind].fields.filter(({ more }) => more).map((field) => [field.name, field.usual]));
  return Object.fromEntries(Object.entries(config).filter(([name, value]) => value !== (usual.get(name) ?? USUAL)));
};

export const makeLayer = (layer: LayerSpec): Layer => LAYER_CARDS[layer.kind].make(said(layer));

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
