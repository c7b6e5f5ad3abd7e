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

/** A setting of a card. */
export type Field =
  | {
      readonly name: string;
      readonly label: string;
      readonly kind: "whole";
      readonly usual: number;
      readonly least: number;
      readonly most: number;
    }
  | {
      readonly name: string;
      readonly label: string;
      readonly kind: "fraction";
      readonly usual: number;
      readonly least: number;
      readonly most: number;
    }
  | {
      readonly name: string;
      readonly label: string;
      readonly kind: "choice";
      readonly usual: string;
      readonly among: readonly string[];
    };

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
      { name: "init", label: "first weights", kind: "choice", usual: USUAL, among: INITS },
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

/** What is said of a layer beyond what is usual. */
const said = (config: LayerSpec["config"]): LayerSpec["config"] =>
  Object.fromEntries(Object.entries(config).filter(([, value]) => value !== USUAL));

export const makeLayer = ({ kind, config }: LayerSpec): Layer => LAYER_CARDS[kind].make(said(config));

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
export function layerCode({ kind, config }: LayerSpec): string {
  const { placed, fields } = LAYER_CARDS[kind];
  const options = fields
    .filter(({ name }) => !placed.includes(name) && name in said(config))
    .filter(({ name }) => !(name === "padding" && config[name] === "valid"))
    .map(({ name }) => `${name}: ${JSON.stringify(config[name])}`);
  const parts = placed.map((name) => JSON.stringify(config[name]));
  if (options.length > 0) parts.push(`{ ${options.join(", ")} }`);
  return `${kind}(${parts.join(", ")})`;
}
