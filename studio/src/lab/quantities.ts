/**
 * Numbers of a run by their names, for lessons: `z dense_1 0`, `gradient dense_1.kernel 0,1`, `loss`. Each is read from the
 * model or from its explanation; none is written down anywhere.
 */
import type { Model } from "chainrule";
import type { Explanation } from "chainrule/explain";
import { lookAtResults } from "./looking.ts";
import { type Run, weightCountOf } from "./run.ts";

/** Where the numbers come from, at the moment that is shown. */
export interface Source {
  readonly run: Run;
  readonly model: Model;
  /** A step on the row that is looked at, and the row's place in it. */
  ofRow(): Promise<{ readonly explanation: Explanation; readonly sample: number }>;
  /** The step that comes next. */
  ofBatch(): Promise<Explanation>;
}

const places = (text: string): number[] => text.split(",").map(Number);

/** The place of an element in its flat array. */
const flat = (shape: readonly number[], index: readonly number[]): number =>
  index.reduce((at, i, axis) => at * shape[axis] + i, 0);

const norm = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));

const QUANTITIES: Readonly<Record<string, (source: Source, name: string, place: string) => Promise<number> | number>> =
  {
    weight: ({ model }, name, place) => {
      const { shape } = model.network.parameters.find((parameter) => parameter.name === name)!.node;
      return model.weight(name)[flat(shape, places(place))];
    },
    value: (source, layer, unit) => resultOf(source, undefined, layer, unit),
    z: (source, layer, unit) => resultOf(source, "z", layer, unit),
    a: (source, layer, unit) => resultOf(source, "a", layer, unit),
    input: async (source, place) => {
      const { explanation, sample } = await source.ofRow();
      return explanation.values("x", sample)[Number(place)];
    },
    target: async (source) => {
      const { explanation, sample } = await source.ofRow();
      return explanation.values("target", sample)[0];
    },
    rowLoss: async (source) => {
      const { explanation, sample } = await source.ofRow();
      return explanation.loss.perSample[sample];
    },
    batchLoss: async (source) => (await source.ofBatch()).loss.value,
    /** The probability of a class for the row. */
    probability: async (source, label) => {
      const { explanation, sample } = await source.ofRow();
      const { probabilities } = await source.model.classify(Float32Array.from(explanation.values("x", sample)));
      return probabilities[Number(label)];
    },
    gradient: async (source, name, place) =>
      (await source.ofRow()).explanation.weight(name, places(place)).chain.gradient,
    batchGradient: async (source, name, place) => (await source.ofBatch()).weight(name, places(place)).chain.gradient,
    /** A factor of the chain rule of a weight for the row, by its number from 0. */
    factor: async (source, name, place) => {
      const [number, ...index] = places(place);
      const { chain } = (await source.ofRow()).explanation.weight(name, index);
      return chain.terms[0].factors[number].value;
    },
    after: async (source, name, place) => (await source.ofBatch()).weight(name, places(place)).update!.after,
    /** How far a weight moves in the step that comes next. */
    moved: async (source, name, place) => {
      const { before, after } = (await source.ofBatch()).weight(name, places(place)).update!;
      return Math.abs(after - before);
    },
    /** ∂L/∂ what a layer gives, for the row. */
    gradientOf: async (source, layer, unit) => {
      const { explanation, sample } = await source.ofRow();
      return explanation.gradient(nameOf(explanation, undefined, layer), sample)[Number(unit)];
    },
    gradientOfZ: async (source, layer, unit) => {
      const { explanation, sample } = await source.ofRow();
      return explanation.gradient(nameOf(explanation, "z", layer), sample)[Number(unit)];
    },
    /** The length of a parameter's gradient in the step that comes next. */
    gradientLength: async (source, name) => norm((await source.ofBatch()).gradient(name)),
    /** How many units of a layer give 0 for every row. */
    dead: async ({ run, model }, layer) => {
      const { shape, data } = (await model.intermediates(run.train.x))[layer];
      const units = shape[1];
      return Array.from({ length: units }, (_, unit) => unit).filter((unit) =>
        data.every((value, i) => i % units !== unit || value === 0),
      ).length;
    },
    /** How many units of a layer differ in their weights. */
    distinctUnits: ({ model }, layer) => {
      const kernel = model.weight(`${layer}.kernel`);
      const units = model.network.layers.find(({ name }) => name === layer)!.outputShape[0];
      const columns = Array.from({ length: units }, (_, unit) => kernel.filter((_, i) => i % units === unit).join());
      return new Set(columns).size;
    },
    /** Mean and deviation of one unit's result over the batch that comes next. */
    batchMean: async (source, layer, unit) => momentsOf(await source.ofBatch(), layer, Number(unit)).mean,
    batchDeviation: async (source, layer, unit) => momentsOf(await source.ofBatch(), layer, Number(unit)).deviation,
    loss: async (source) => (await scoresOf(source, false)).loss,
    accuracy: async (source) => 100 * (await scoresOf(source, false)).accuracy,
    heldOutLoss: async (source) => (await scoresOf(source, true)).loss,
    heldOutAccuracy: async (source) => 100 * (await scoresOf(source, true)).accuracy,
    weights: ({ model }) => weightCountOf(model),
    rows: ({ run }) => run.train.count,
    batchSize: ({ run }) => run.batchSize,
    stepsPerEpoch: ({ run }) => run.stepsPerEpoch,
    learningRate: ({ run }) => run.rateAt(run.done),
  };

async function scoresOf({ run, model }: Source, heldOut: boolean): Promise<Readonly<Record<string, number>>> {
  return (await lookAtResults(run, model, heldOut)).scores;
}

/** The full name of a layer's result: the last one where it is not said which. */
function nameOf(explanation: Explanation, letter: string | undefined, layer: string): string {
  const { results } = explanation.forward.find((each) => each.layer === layer)!;
  return letter === undefined ? results[results.length - 1].name : `${layer}.${letter}`;
}

async function resultOf(source: Source, letter: string | undefined, layer: string, unit: string): Promise<number> {
  const { explanation, sample } = await source.ofRow();
  return explanation.values(nameOf(explanation, letter, layer), sample)[Number(unit)];
}

function momentsOf(explanation: Explanation, layer: string, unit: number): { mean: number; deviation: number } {
  const values = explanation.values(nameOf(explanation, undefined, layer));
  const units = values.length / explanation.rows.length;
  const own = Array.from(values).filter((_, i) => i % units === unit);
  const mean = own.reduce((a, b) => a + b, 0) / own.length;
  return { mean, deviation: Math.sqrt(own.reduce((sum, x) => sum + (x - mean) ** 2, 0) / own.length) };
}

/** A number by its name and places, such as `gradient dense_1.kernel 0,1`. */
export async function measure(text: string, source: Source): Promise<number> {
  const [name, first = "", second = ""] = text.trim().split(/\s+/);
  if (!Object.hasOwn(QUANTITIES, name))
    throw new TypeError(`There is no quantity "${name}". There are ${Object.keys(QUANTITIES).join(", ")}.`);
  const value = await QUANTITIES[name](source, first, second);
  if (!Number.isFinite(value)) throw new TypeError(`"${text}" is no number here.`);
  return value;
}
