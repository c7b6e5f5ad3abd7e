/** Makes what cards and settings describe: layers, schedules. */
import {
  activation,
  averagePool2d,
  batchNorm,
  conv2d,
  cosineDecay,
  dense,
  dropout,
  exponentialDecay,
  globalAveragePool2d,
  type Layer,
  layerNorm,
  maxPool2d,
  oneCycle,
  type Schedule,
  stepDecay,
  warmup,
} from "chainrule";
import { said } from "./layer-kinds.ts";
import type { LayerSpec, ScheduleSpec } from "./spec.ts";

// biome-ignore lint/suspicious/noExplicitAny: settings are what the fields of their cards say.
type Settings = any;

const LAYERS: Readonly<Record<string, (settings: Settings) => Layer>> = {
  dense: ({ units, ...options }) => dense(units, options),
  activation: ({ activation: name }) => activation(name),
  dropout: ({ rate }) => dropout(rate),
  batchNorm: () => batchNorm(),
  layerNorm: () => layerNorm(),
  conv2d: ({ filters, size, ...options }) => conv2d(filters, size, options),
  maxPool2d: ({ size }) => maxPool2d(size),
  averagePool2d: ({ size }) => averagePool2d(size),
  globalAveragePool2d: () => globalAveragePool2d(),
};

export const makeLayer = (layer: LayerSpec): Layer => LAYERS[layer.kind](said(layer));

const SCHEDULES: Readonly<Record<string, (learningRate: number, settings: Settings) => Schedule>> = {
  stepDecay: (learningRate, settings) => stepDecay({ learningRate, ...settings }),
  exponentialDecay: (learningRate, settings) => exponentialDecay({ learningRate, ...settings }),
  cosineDecay: (learningRate, settings) => cosineDecay({ learningRate, ...settings }),
  oneCycle: (learningRate, settings) => oneCycle({ learningRate, ...settings }),
  warmup: (next, settings) => warmup({ ...settings, next }),
};

export const makeSchedule = ({ kind, settings }: ScheduleSpec, learningRate: number): Schedule =>
  SCHEDULES[kind](learningRate, settings);
