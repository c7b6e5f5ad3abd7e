/**
 * The explanation of one training step, as users hold it: its parts as plain data, each made when it is first asked
 * for, and the questions one can ask of a unit or a weight.
 */
import { unknownName } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import type { AnyArray } from "../graph/op.ts";
import { showShape, sizeOf } from "../graph/shape.ts";
import { type ChainOptions, Chains } from "./chain-rule.ts";
import { describePlan } from "./describe-plan.ts";
import {
  describeBackward,
  describeForward,
  describeLoss,
  describeOps,
  describeUpdate,
  nodesOf,
  valuesOf,
} from "./describe-step.ts";
import type {
  AttentionDescription,
  LayerBackward,
  LayerForward,
  LayerOverPlaces,
  LossDescription,
  OpDescription,
  PlanDescription,
  StepDescription,
  UnitDescription,
  UpdateDescription,
  WeightDescription,
} from "./description.ts";
import { flatOf } from "./element-index.ts";
import { finiteDifference } from "./finite-difference.ts";
import { Jacobians } from "./jacobian.ts";
import { isTrainable, layersOf, resultsOf, type Stop } from "./named-arrays.ts";
import { explainUnitStep } from "./one-unit.ts";
import type { Opened } from "./opened-step.ts";
import { explainUpdate } from "./optimizer-update.ts";
import { attentionOf, layersOverPlaces } from "./over-places.ts";

/** How much to tell. */
export interface DetailOptions {
  /** How many terms of each sum to list, the largest first; the rest are summed up. 8 unless said. */
  readonly terms?: number;
  /** How many sums to follow back towards the loss beyond the first; 0 unless said, Infinity for all the way. */
  readonly follow?: number;
}

const detail = ({ terms = 8, follow = 0 }: DetailOptions): ChainOptions => ({ terms, follow });

/** One training step, opened up: from `explain`. The model is as it was before. */
export class Explanation {
  /** The step's graph and values, for the library's own rooms. */
  readonly opened: Opened;
  readonly #jacobians: Jacobians;
  readonly #chains: Chains;
  #forward: readonly LayerForward[] | undefined;
  #backward: readonly LayerBackward[] | undefined;
  #update: readonly UpdateDescription[] | undefined;
  #overPlaces: readonly LayerOverPlaces[] | undefined;

  constructor(opened: Opened) {
    this.opened = opened;
    this.#jacobians = new Jacobians(opened);
    this.#chains = new Chains(opened, this.#jacobians);
  }

  /** Layer by layer: parameters, results such as z and a, formulas, what stands out. */
  get forward(): readonly LayerForward[] {
    this.#forward ??= describeForward(this.opened, this.#jacobians);
    return this.#forward;
  }

  /** The number of each sample in the data set that the batch was taken from. */
  get rows(): readonly number[] {
    return this.opened.rows;
  }

  get loss(): LossDescription {
    return describeLoss(this.opened);
  }

  /** Layer by layer, the last one first: ∂L/∂a, ∂L/∂z, ∂L/∂w, ∂L/∂b. */
  get backward(): readonly LayerBackward[] {
    this.#backward ??= describeBackward(this.opened);
    return this.#backward;
  }

  /** Parameter by parameter: before, gradient, after, the optimiser's state and formulas. */
  get update(): readonly UpdateDescription[] {
    this.#update ??= describeUpdate(this.opened);
    return this.#update;
  }

  /**
   * Recurrent layers place by place: gates and states by their names, how long the gradient is that comes back to each, and where it
   * has vanished.
   *
   * @example
   * for (const { layer, vanished } of step.overPlaces) console.log(layer, vanished?.place ?? "the gradient comes through");
   */
  get overPlaces(): readonly LayerOverPlaces[] {
    this.#overPlaces ??= layersOverPlaces(this.opened);
    return this.#overPlaces;
  }

  /**
   * The weights of attention of each layer and head, a row for each place that looks.
   * @param sample the row of the batch, from 0
   * @throws ArgumentError if there is no such sample
   *
   * @example
   * for (const { layer, heads } of step.attention(0)) console.log(layer, heads[0][2]); // whom the third place looks at
   */
  attention(sample = 0): readonly AttentionDescription[] {
    return attentionOf(this.opened, this.#sample(sample));
  }

  /** Every op of the step in the order of computation: forward, backward, update. */
  ops(): OpDescription[] {
    return describeOps(this.opened);
  }

  /** The ops that compute something in the order in which one would do them by hand: forward pass, backward pass, update. */
  walk(): readonly OpDescription[] {
    const ops = this.ops().filter(({ inputs }) => inputs.length > 0);
    return (["forward", "backward", "update"] as const).flatMap((phase) => ops.filter((op) => op.phase === phase));
  }

  /** What an op of `ops()` gave for one sample, or altogether where it does not have one row per sample. */
  opValues(id: number, sample?: number): readonly number[] {
    const { batchSize } = this.opened;
    const nodes = nodesOf(this.opened);
    if (!(id in nodes))
      throw new ArgumentError(`There is no op ${id}: the ops of this step are 0 to ${nodes.length - 1}.`);
    const all = valuesOf(this.opened, nodes[id]);
    if (sample === undefined || nodes[id].shape[0] !== batchSize) return Array.from(all);
    const row = all.length / batchSize;
    return Array.from(all.slice(this.#sample(sample) * row, (sample + 1) * row));
  }

  /**
   * All numbers of a named array, row by row: `dense_1.a`, `dense_1.kernel`, `x`, `target`.
   * @param sample a row of the batch, from 0, where only its part is wanted
   * @throws ArgumentError if there is no such array or sample; it says which there are
   *
   * @example
   * console.log(step.values("dense_1.a", 0), step.gradient("dense_1.a", 0)); // what the first sample's units gave, and got back
   */
  values(name: string, sample?: number): Float64Array {
    const stop = this.#stop(name);
    return this.#part(stop, this.opened.values.get(stop.node), sample);
  }

  /**
   * ∂L/∂ a named array, row by row; zeros where training has no need of it.
   * @param sample a row of the batch, from 0, where only its part is wanted
   * @throws ArgumentError if there is no such array or sample, or it is no number that the loss depends on
   */
  gradient(name: string, sample?: number): Float64Array {
    const stop = this.#stop(name);
    return this.#part(stop, this.opened.values.get(this.opened.gradient(stop.node)), sample);
  }

  #stop(name: string): Stop {
    const { stops } = this.opened;
    const found = stops.find((stop) => stop.name === name);
    if (found) return found;
    throw unknownName(
      "array",
      name,
      stops.map((stop) => stop.name),
    );
  }

  #part({ node, role }: Stop, values: AnyArray, sample?: number): Float64Array {
    const { batchSize } = this.opened;
    const all = Float64Array.from(values);
    if (sample === undefined || role === "parameter" || node.shape[0] !== batchSize) return all;
    const row = all.length / batchSize;
    return all.subarray(this.#sample(sample) * row, (sample + 1) * row);
  }

  /**
   * One unit of a layer for one sample: z term by term, the activation, and where its gradient comes from.
   * @param unit its number, or its place [row, column, channel] in an image
   * @param options `sample`: the row of the batch, from 0
   * @throws ArgumentError if there is no such layer, unit or sample; it says which there are
   *
   * @example
   * console.log(reportText(unitReport(step.unit("dense_1", 2, { sample: 3 }))));
   */
  unit(
    layer: string,
    unit: number | readonly number[],
    options: DetailOptions & { sample?: number } = {},
  ): UnitDescription {
    const layers = layersOf(this.opened.model.network);
    const found = layers.find(({ name }) => name === layer);
    if (!found) {
      throw new ArgumentError(
        `There is no layer "${layer}". This model has ${layers.map(({ name }) => name).join(", ")}.`,
      );
    }
    const place = typeof unit === "number" ? [unit] : unit;
    const shape = found.outputShape;
    if (place.length !== shape.length || place.some((n, axis) => !Number.isInteger(n) || n < 0 || n >= shape[axis])) {
      throw new ArgumentError(`Layer ${layer} has no unit [${place.join(", ")}]: its units are ${rangesText(shape)}.`);
    }
    const sample = this.#sample(options.sample);
    const chain = detail(options);
    const steps = resultsOf(this.opened, layer).flatMap((stop) => {
      const index = placeWithin(stop.node.shape, [sample, ...place], this.opened.batchSize);
      return index ? [explainUnitStep(this.opened, this.#jacobians, this.#chains, stop, index, chain)] : [];
    });
    const notes = this.forward.find((each) => each.layer === layer)!.notes;
    return {
      layer,
      unit: place,
      sample,
      steps,
      notes: notes.filter(({ units }) => units.length === 0 || units.includes(place[place.length - 1])),
    };
  }

  /**
   * One weight: ∂L/∂w as the sum of products of the chain rule, the optimiser's arithmetic to w′, and the check by
   * finite differences.
   * @param name such as `dense_2.kernel`
   * @param index its place in the parameter, such as [17, 4]
   * @throws ArgumentError if there is no such parameter or place; it says which there are
   *
   * @example
   * console.log(reportText(weightReport(step.weight("dense_2.kernel", [1, 0], { follow: 1 }))));
   */
  weight(name: string, index: readonly number[] | number, options: DetailOptions = {}): WeightDescription {
    const parameters = this.opened.stops.filter(({ role }) => role === "parameter");
    const stop = parameters.find((each) => each.name === name);
    if (!stop) {
      const names = parameters.map(({ name, node }) => `${name} ${showShape(node.shape)}`);
      throw new ArgumentError(`There is no weight "${name}". This model has ${names.join(", ")}.`);
    }
    const { shape } = stop.node;
    const place = typeof index === "number" ? [index] : index;
    if (place.length !== shape.length || place.some((n, axis) => !Number.isInteger(n) || n < 0 || n >= shape[axis])) {
      throw new ArgumentError(`${name} has no element [${place.join(", ")}]: its elements are ${rangesText(shape)}.`);
    }
    const flat = flatOf(shape, place);
    const chain = this.#chains.sumOf(stop, flat, detail(options));
    const { engine } = this.opened;
    const [gradient, after] = [engine.gradients.get(name), engine.updated.get(name)];
    return {
      weight: this.#chains.elementOf(stop, flat),
      trainable: isTrainable(this.opened, stop),
      chain,
      update: explainUpdate(this.opened, stop, flat),
      finiteDifference: finiteDifference(this.opened, stop, flat, chain.gradient),
      engine: gradient && after && { description: engine.description, gradient: gradient[flat], after: after[flat] },
    };
  }

  /** The plan of the step: what runs in which order, with its memory and its multiply-adds. */
  plan(): PlanDescription {
    return describePlan(this.opened);
  }

  /** The whole step as plain data. */
  toJSON(): StepDescription {
    const { step, batchSize, optimizer, scalars, engine } = this.opened;
    return {
      format: 1,
      step,
      batchSize,
      engine: { description: engine.description, loss: engine.loss },
      optimizer: { name: optimizer.name, config: optimizer.config, scalars },
      forward: this.forward,
      loss: this.loss,
      backward: this.backward,
      update: this.update,
      ...(this.overPlaces.length > 0 && { overPlaces: this.overPlaces }),
    };
  }

  #sample(sample = 0): number {
    const { batchSize } = this.opened;
    if (!Number.isInteger(sample) || sample < 0 || sample >= batchSize) {
      throw new ArgumentError(
        `There is no sample ${sample} in this batch: its samples are 0${batchSize > 1 ? ` to ${batchSize - 1}` : ""}.`,
      );
    }
    return sample;
  }
}

/** `0 to 127`, or `[0, 0] to [783, 127]`. */
function rangesText(shape: readonly number[]): string {
  const last = shape.map((n) => n - 1);
  if (shape.length === 1) return shape[0] === 1 ? "only 0" : `0 to ${last[0]}`;
  return sizeOf(shape) === 1
    ? `only [${last.join(", ")}]`
    : `[${shape.map(() => 0).join(", ")}] to [${last.join(", ")}]`;
}

/** The place [sample, …unit] in an array of the layer: the same, or what of it a statistic over the batch has. */
function placeWithin(
  shape: readonly number[],
  place: readonly number[],
  batchSize: number,
): readonly number[] | undefined {
  const within = place.slice(place.length - shape.length);
  if (shape.length > place.length) return undefined;
  if (shape.length === place.length && shape[0] !== batchSize && shape[0] !== 1) return undefined;
  const index = within.map((n, axis) => (shape[axis] === 1 ? 0 : n));
  return index.every((n, axis) => n < shape[axis]) ? index : undefined;
}
