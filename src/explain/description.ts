/**
 * The description of one training step: plain data that `JSON.stringify` takes, made of numbers, names and formulas.
 * Reports, pages and the studio are views of it. Numbers that JSON lacks (NaN, ∞) become null there.
 */
import type { Phase } from "../graph/node.ts";
import type { Shape } from "../graph/shape.ts";
import type { Formula } from "./formula/formula.ts";

/** An array in a few numbers. */
export interface Statistics {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** The standard deviation of the elements. */
  readonly deviation: number;
  /** √Σx². */
  readonly norm: number;
  /** How many elements are exactly 0. */
  readonly zeros: number;
  /** How many are NaN or infinite. */
  readonly nonFinite: number;
}

/** An array with its name and, where it is small, its values. */
export interface ArrayDescription {
  /** `dense_1.z`; of gradients, the name of what the loss is differentiated by. */
  readonly name: string;
  readonly symbol: Formula;
  readonly shape: Shape;
  readonly statistics: Statistics;
  /** All elements, row by row, where there are few enough. */
  readonly values?: readonly number[];
}

/** An array that the step computes, with how. */
export interface Computed extends ArrayDescription {
  /** `z = x · kernel + bias`. */
  readonly formula: Formula;
}

/** ∂result/∂operand where it is one formula for all elements: `∂a/∂z = 1 − a²`. */
export interface Derivative {
  readonly of: string;
  readonly by: string;
  readonly formula: Formula;
}

/** Something about the step that its reader should know. */
export interface Note {
  readonly kind: "dead" | "saturated" | "notFinite";
  readonly layer: string;
  /** The units it is about, along the last axis. */
  readonly units: readonly number[];
  readonly message: string;
}

/** What one layer did in the forward pass. */
export interface LayerForward {
  readonly layer: string;
  readonly kind: string;
  readonly description: string;
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  readonly parameters: readonly ArrayDescription[];
  readonly results: readonly Computed[];
  readonly derivatives: readonly Derivative[];
  readonly notes: readonly Note[];
}

/** The loss, and where the backward pass begins. */
export interface LossDescription {
  readonly name: string;
  readonly value: number;
  readonly formula: Formula;
  /** The loss of each sample, whose mean the batch's loss is. */
  readonly perSample: readonly number[];
  /** Where the network's outputs have names, the loss of each; what follows is then said there. */
  readonly outputs?: readonly OutputLossDescription[];
  readonly output?: ArrayDescription;
  readonly target?: ArrayDescription;
  /** ∂L/∂output, and what it is made of: p and y of p − y. */
  readonly derivative: Computed | undefined;
  readonly operands: readonly ArrayDescription[];
}

/** The loss of one output of several. */
export interface OutputLossDescription extends Omit<LossDescription, "outputs"> {
  /** The output's name. */
  readonly of: string;
  /** What it is multiplied by in the whole loss. */
  readonly weight: number;
}

/** The gradients of one layer. */
export interface LayerBackward {
  readonly layer: string;
  /** ∂L/∂result, the last one first. */
  readonly results: readonly Computed[];
  /** ∂L/∂parameter. */
  readonly parameters: readonly Computed[];
}

/** What the optimiser did to one parameter. */
export interface UpdateDescription {
  readonly parameter: string;
  readonly before: ArrayDescription;
  readonly gradient: ArrayDescription;
  readonly after: ArrayDescription;
  readonly state: readonly {
    readonly name: string;
    readonly before: ArrayDescription;
    readonly after: ArrayDescription;
  }[];
  /** `m′ = 0.9 · m + 0.1 · ∂L/∂kernel`, …, `kernel′ = …`. */
  readonly formulas: readonly Formula[];
}

/** One node of the graph. */
export interface OpDescription {
  /** Its number in the list; operands have smaller ones. */
  readonly id: number;
  readonly op: string;
  /** `dense_1.z`, or the layer and the op. */
  readonly name: string;
  readonly layer: string;
  readonly phase: Phase;
  readonly shape: Shape;
  readonly inputs: readonly number[];
  readonly formula: Formula;
  /** The op in the words of the library: how y and ∂y/∂x come about. */
  readonly words?: { readonly forward: string; readonly derivative: string };
  readonly statistics: Statistics;
}

/** One step of the plan: one pass over memory. */
export interface PlanStep {
  /** From 1. */
  readonly number: number;
  readonly phase: Phase;
  /** The ops done in this pass. */
  readonly ops: readonly string[];
  /** What it stores, by name: `dense_1.z`, `∂L/∂dense_1.z`, `dense_1.kernel′`. */
  readonly stores: readonly string[];
  /** The named arrays that it reads from memory. */
  readonly reads: readonly string[];
  /** Memory that its results take, in bytes; what is written over a parameter takes none. */
  readonly bytes: number;
  readonly multiplyAdds: number;
  /** Other floating-point operations: one for each element of each elementwise op. */
  readonly operations: number;
}

/** The plan of a training step: what is computed when, and where it is kept. */
export interface PlanDescription {
  readonly steps: readonly PlanStep[];
  /** Memory beside the parameters; results whose lives do not overlap share it. */
  readonly bytes: number;
  readonly multiplyAdds: number;
  /** How many stored results no other step computes again: all of them, or the planner has a mistake. */
  readonly computedOnce: boolean;
}

/** One training step, from input to new weights. */
export interface StepDescription {
  readonly format: 1;
  readonly step: number;
  readonly batchSize: number;
  readonly engine: { readonly description: string; readonly loss: number };
  readonly optimizer: {
    readonly name: string;
    readonly config: Readonly<Record<string, unknown>>;
    readonly scalars: Readonly<Record<string, number>>;
  };
  readonly forward: readonly LayerForward[];
  readonly loss: LossDescription;
  readonly backward: readonly LayerBackward[];
  readonly update: readonly UpdateDescription[];
  /** Recurrent layers place by place, where there are some. */
  readonly overPlaces?: readonly LayerOverPlaces[];
}

/** A state or gate of a recurrent layer, place by place. */
export interface OverPlaces {
  /** `state`, `cell`, `forget`, … */
  readonly name: string;
  /** The mean of its values at each place, over samples and units. */
  readonly mean: readonly number[];
  /** √Σ(∂L/∂value)² at each place, over samples and units: all that comes back to it, from other places too. */
  readonly gradient: readonly number[];
}

/** A recurrent layer over time. */
export interface LayerOverPlaces {
  readonly layer: string;
  readonly arrays: readonly OverPlaces[];
  /**
   * Where the gradient of the state has vanished on its way back: the place, from 1, at which it is less than 1e-4 of what it is
   * at the place `longest`, where it is longest; the nearest such place, and its share.
   */
  readonly vanished?: { readonly place: number; readonly ratio: number; readonly longest: number };
}

/** Whom the heads of a layer of attention look at, for one sample. */
export interface AttentionDescription {
  readonly layer: string;
  /** For each head a row for each place that looks, with its weights of all places; they sum to 1. */
  readonly heads: readonly (readonly (readonly number[])[])[];
}

/** One element of a named array. */
export interface Element {
  readonly name: string;
  readonly index: readonly number[];
  readonly symbol: Formula;
  readonly value: number;
}

/** One factor of the chain rule with its number: ∂of/∂by. */
export interface Factor {
  readonly symbol: Formula;
  readonly value: number;
  /** `1 − a²`, and the same with its numbers, where the factor has a formula for single elements. */
  readonly formula?: Formula;
  readonly numbers?: Formula;
}

/** One product of the chain rule: what came back from the loss along one path. */
export interface ChainTerm {
  /** The row of the batch it belongs to, where it belongs to one. */
  readonly sample?: number;
  /** The element that the path goes through, next to what is differentiated by. */
  readonly through: Element;
  readonly factors: readonly Factor[];
  readonly product: number;
  /** Where the first factor comes from in turn, if asked to follow it. */
  readonly origin?: ChainSum;
}

/** A gradient as the sum over all paths to the loss. */
export interface ChainSum {
  readonly of: Element;
  /** ∂L/∂of as the backward pass computed it. */
  readonly gradient: number;
  /** How the backward pass computed it, and with its numbers where that goes element by element. */
  readonly formula: Formula;
  readonly numbers?: Formula;
  /** The largest terms first. */
  readonly terms: readonly ChainTerm[];
  /** The terms that are not listed. */
  readonly rest: { readonly count: number; readonly sum: number };
  /** What each row of the batch adds, where every term belongs to a row. */
  readonly shares?: readonly number[];
  /** The sum of all terms, listed or not: equals the gradient. */
  readonly total: number;
}

/** One line of the optimiser's arithmetic. */
export interface ArithmeticStep {
  readonly symbol: Formula;
  readonly formula: Formula;
  readonly numbers: Formula;
  readonly value: number;
}

/** The optimiser's arithmetic for one weight. */
export interface WeightUpdate {
  readonly optimizer: string;
  readonly step: number;
  /** The optimiser's numbers of this step, such as the learning rate. */
  readonly scalars: readonly Element[];
  /** The optimiser's state of this weight before the step. */
  readonly state: readonly Element[];
  readonly steps: readonly ArithmeticStep[];
  readonly before: number;
  readonly after: number;
}

/** The check by nudging the weight: (L(w + ε) − L(w − ε)) / 2ε. */
export interface FiniteDifference {
  readonly epsilon: number;
  readonly above: number;
  readonly below: number;
  readonly value: number;
  /** |value − gradient| relative to the larger of the two. */
  readonly relativeError: number;
  /** Whether the two are equal, as far as rounding of the loss lets one tell. */
  readonly agrees: boolean;
}

/** One weight: its gradient by the chain rule, its update, and the check by a finite difference. */
export interface WeightDescription {
  readonly weight: Element;
  readonly trainable: boolean;
  readonly chain: ChainSum;
  readonly update: WeightUpdate | undefined;
  readonly finiteDifference: FiniteDifference;
  /** What the engine that trains computes for the same weight, in single precision. */
  readonly engine: { readonly description: string; readonly gradient: number; readonly after: number } | undefined;
}

/** One product of a weighted sum: weight · what it is multiplied by. */
export interface Contribution {
  readonly weight: Element;
  readonly factor: number;
  /** The element of the layer's input that the factor is, where it is one. */
  readonly input?: Element;
  readonly product: number;
}

/** How an element of the input takes part where it is not by a weight: the winner of a maximum, say. */
export interface InputShare {
  readonly input: Element;
  readonly derivative: number;
}

/** One named number on the way through a unit. */
export interface UnitStep {
  readonly element: Element;
  readonly formula: Formula;
  /** The formula with its numbers, where it goes element by element. */
  readonly numbers?: Formula;
  /** The weighted sum term by term, the largest first. */
  readonly contributions?: readonly Contribution[];
  readonly rest?: { readonly count: number; readonly sum: number };
  /** For a convolution: the window of the input and the filter laid on it, [KH, KW, I]. */
  readonly patch?: { readonly shape: Shape; readonly input: readonly number[]; readonly filter: readonly number[] };
  /** For what is not a weighted sum: the elements of the input it depends on. */
  readonly shares?: readonly InputShare[];
  readonly derivatives: readonly Factor[];
  /** ∂L/∂element, and the paths it comes along. */
  readonly gradient: ChainSum;
}

/** One unit for one sample: how its numbers came about, and what came back to it. */
export interface UnitDescription {
  readonly layer: string;
  readonly unit: readonly number[];
  readonly sample: number;
  readonly steps: readonly UnitStep[];
  readonly notes: readonly Note[];
}
