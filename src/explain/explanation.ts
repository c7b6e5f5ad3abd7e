/**
 * The explanation of one training step, as users hold it: its parts as plain data, each made when it is first asked
 * for, and the questions one can ask of a unit or a weight.
 */
import { ArgumentError } from "../errors.ts";
import { isConstant } from "../graph/leaf.ts";
import { type Node, nameOf, topologicalOrder } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { sameShape, showShape, sizeOf } from "../graph/shape.ts";
import type { NamedLayer } from "../nn/network.ts";
import { describeArray, statisticsOf } from "./arrays.ts";
import { type ChainOptions, Chains } from "./chain.ts";
import type {
  ArrayDescription,
  Computed,
  Derivative,
  LayerBackward,
  LayerForward,
  LossDescription,
  OpDescription,
  PlanDescription,
  StepDescription,
  UnitDescription,
  UpdateDescription,
  WeightDescription,
} from "./description.ts";
import { diagonalFormulas } from "./diagonal.ts";
import { finiteDifference } from "./difference.ts";
import { equal, type Formula, partial, symbol } from "./formula/formula.ts";
import { formulaOf } from "./formula/from-graph.ts";
import { formulaText } from "./formula/text.ts";
import { Jacobians } from "./jacobian.ts";
import { notesOn } from "./notes.ts";
import { type Opened, type Stop, splitName } from "./open.ts";
import { flatOf } from "./place.ts";
import { describePlan } from "./plan.ts";
import { explainUnitStep } from "./unit.ts";
import { explainUpdate, updateLines } from "./update.ts";

/** How much to tell. */
export interface DetailOptions {
  /** How many terms of each sum to list, the largest first; the rest are summed up. 8 unless said. */
  readonly terms?: number;
  /** How many sums to follow back towards the loss beyond the first; 0 unless said, Infinity for all the way. */
  readonly follow?: number;
}

const detail = ({ terms = 8, follow = 0 }: DetailOptions): ChainOptions => ({ terms, follow });

/** Arrays of at most so many elements are listed in full in descriptions. */
const LISTED = 256;
/** Those of the loss, where single samples are looked at. */
const LISTED_OF_LOSS = 4096;

export class Explanation {
  /** The step's graph and values, for views that draw it. */
  readonly opened: Opened;
  readonly #jacobians: Jacobians;
  readonly #chains: Chains;
  #forward: readonly LayerForward[] | undefined;
  #backward: readonly LayerBackward[] | undefined;
  #update: readonly UpdateDescription[] | undefined;

  constructor(opened: Opened) {
    this.opened = opened;
    this.#jacobians = new Jacobians(opened);
    this.#chains = new Chains(opened, this.#jacobians);
  }

  /** Layer by layer: parameters, results such as z and a, formulas, what stands out. */
  get forward(): readonly LayerForward[] {
    this.#forward ??= this.#layers.map((layer): LayerForward => {
      const stops = this.#resultsOf(layer.name);
      return {
        layer: layer.name,
        kind: layer.kind,
        description: layer.description,
        inputShape: layer.inputShape,
        outputShape: layer.outputShape,
        parameters: this.#parametersOf(layer.name).map((stop) => this.#describe(stop.name, stop.symbol, stop.node)),
        results: stops.map((stop) => this.#computed(stop.name, stop.symbol, stop.node)),
        derivatives: stops.flatMap((stop) => this.#derivativesOf(stop)),
        notes: notesOn(this.opened, this.#jacobians, layer.name, stops),
      };
    });
    return this.#forward;
  }

  get loss(): LossDescription {
    const { graph, lossName, batchSize, values } = this.opened;
    const perSample = topologicalOrder([graph.loss])
      .filter(
        ({ shape, scope, phase }) =>
          scope === "loss" && phase === "forward" && shape.length === 1 && shape[0] === batchSize,
      )
      .pop();
    const [output, target] = [this.#stopAt(graph.output), this.#stopAt(graph.y)];
    return {
      name: lossName,
      value: values.get(graph.loss)[0],
      formula: formulaOf(graph.loss, this.opened.bind),
      perSample: perSample ? Array.from(values.get(perSample)) : [],
      output: this.#describe(
        output?.name ?? "output",
        output?.symbol ?? symbol("output"),
        graph.output,
        LISTED_OF_LOSS,
      ),
      target: this.#describe("target", target?.symbol ?? symbol("target"), graph.y, LISTED_OF_LOSS),
      ...this.#lossDerivative(output),
    };
  }

  /** ∂L/∂output with the arrays that its formula mentions and that have no name: softmax(z), say. */
  #lossDerivative(output: Stop | undefined): Pick<LossDescription, "derivative" | "operands"> {
    if (output?.node.dtype !== "float" || output.role !== "result") return { derivative: undefined, operands: [] };
    const { gradient, bind } = this.opened;
    const node = gradient(output.node);
    const operands: ArrayDescription[] = [];
    const visit = (x: Node): void => {
      if (bind(x) && x !== node) return;
      if (x.op.meaning.kind === "elementwise") for (const input of x.inputs) visit(input);
      else if (!isConstant(x) && sameShape(x.shape, output.node.shape)) {
        const own = formulaOf(x, bind);
        operands.push(this.#describe(formulaText(own), own, x, LISTED_OF_LOSS));
      }
    };
    visit(node);
    const unique = operands.filter(({ name }, i) => operands.findIndex((each) => each.name === name) === i);
    return {
      derivative: this.#computed(output.name, partial(symbol("L"), output.symbol), node, LISTED_OF_LOSS),
      operands: unique,
    };
  }

  /** Layer by layer, the last one first: ∂L/∂a, ∂L/∂z, ∂L/∂w, ∂L/∂b. */
  get backward(): readonly LayerBackward[] {
    if (this.#backward) return this.#backward;
    const layers = [...this.#layers].reverse().map(({ name }): LayerBackward => {
      const gradient = (stop: Stop): Computed =>
        this.#computed(stop.name, partial(symbol("L"), stop.symbol), this.opened.gradient(stop.node));
      const depended = (stop: Stop): boolean => this.opened.isTrained(stop.node);
      return {
        layer: name,
        results: this.#resultsOf(name).filter(depended).reverse().map(gradient),
        parameters: this.#parametersOf(name)
          .filter((stop) => this.#isTrained(stop))
          .map(gradient),
      };
    });
    this.#backward = layers.filter(({ results, parameters }) => results.length + parameters.length > 0);
    return this.#backward;
  }

  /** Parameter by parameter: before, gradient, after, the optimiser's state and formulas. */
  get update(): readonly UpdateDescription[] {
    this.#update ??= this.opened.states.map(({ parameter, state }, i): UpdateDescription => {
      const { graph, bind, updateValues } = this.opened;
      const describe = (node: Node): ArrayDescription =>
        describeArray(nameOf(node), bind(node) ?? symbol(nameOf(node)), node.shape, updateValues.get(node), LISTED);
      const next = new Map(graph.updates.map(({ variable, value }) => [variable, value]));
      const after = (node: Node): ArrayDescription => ({ ...describe(next.get(node)!), name: nameOf(node) });
      const lines = updateLines(this.opened, parameter.node);
      return {
        parameter: parameter.name,
        before: describe(parameter.node),
        gradient: { ...describe(graph.gradients[i]), name: parameter.name },
        after: after(parameter.node),
        state: Object.entries(state).map(([name, node]) => ({ name, before: describe(node), after: after(node) })),
        formulas: lines.map(({ node, symbol }) => equal(symbol, formulaOf(node, bind))),
      };
    });
    return this.#update;
  }

  /** Every op of the step in the order of computation: forward, backward, update. */
  ops(): OpDescription[] {
    const { bind } = this.opened;
    const nodes = this.#nodes();
    const ids = new Map(nodes.map((node, i) => [node, i]));
    return nodes.map((node, id) => ({
      id,
      op: node.op.name,
      name: this.#stopAt(node)?.name ?? nameOf(node),
      layer: node.scope,
      phase: node.phase,
      shape: node.shape,
      inputs: node.inputs.map((x) => ids.get(x)!),
      formula: formulaOf(node, (x) => bind(x) ?? (isConstant(x) ? undefined : symbol(`#${ids.get(x)}`))),
      ...(node.op.explain && { words: node.op.explain }),
      statistics: statisticsOf(this.#valuesOf(node)),
    }));
  }

  /** What an op of `ops()` gave for one sample, or altogether where it does not have one row per sample. */
  opValues(id: number, sample?: number): readonly number[] {
    const { batchSize } = this.opened;
    const nodes = this.#nodes();
    if (!(id in nodes))
      throw new ArgumentError(`There is no op ${id}: the ops of this step are 0 to ${nodes.length - 1}.`);
    const all = this.#valuesOf(nodes[id]);
    if (sample === undefined || nodes[id].shape[0] !== batchSize) return Array.from(all);
    const row = all.length / batchSize;
    return Array.from(all.slice(this.#sample(sample) * row, (sample + 1) * row));
  }

  #valuesOf(node: Node): AnyArray {
    const { values, updateValues } = this.opened;
    return (node.phase === "update" ? updateValues : values).get(node);
  }

  #nodes(): readonly Node[] {
    const { graph } = this.opened;
    return topologicalOrder([graph.loss, ...graph.gradients, ...graph.updates.map(({ value }) => value)]);
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
    const found = this.#layers.find(({ name }) => name === layer);
    if (!found) {
      throw new ArgumentError(
        `There is no layer "${layer}". This model has ${this.#layers.map(({ name }) => name).join(", ")}.`,
      );
    }
    const place = typeof unit === "number" ? [unit] : unit;
    const shape = found.outputShape;
    if (place.length !== shape.length || place.some((n, axis) => !Number.isInteger(n) || n < 0 || n >= shape[axis])) {
      throw new ArgumentError(`Layer ${layer} has no unit [${place.join(", ")}]: its units are ${rangesText(shape)}.`);
    }
    const sample = this.#sample(options.sample);
    const chain = detail(options);
    const steps = this.#resultsOf(layer).flatMap((stop) => {
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
      trainable: this.#isTrained(stop),
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

  #stopAt(node: Node): Stop | undefined {
    return this.opened.stops.find((stop) => stop.node === node);
  }

  /** The layers, each followed by those inside it. */
  get #layers(): readonly NamedLayer[] {
    const all = (layers: readonly NamedLayer[]): NamedLayer[] => layers.flatMap((each) => [each, ...all(each.layers)]);
    return all(this.opened.model.network.layers);
  }

  #resultsOf(layer: string): readonly Stop[] {
    const { stops, graph } = this.opened;
    const own = stops.filter(({ role, name }) => role === "result" && (name === layer || splitName(name)[0] === layer));
    // What a layer made of layers gives may be what the last one inside gives.
    return own.length > 0
      ? own
      : stops.filter(({ node, role }) => role === "result" && node === graph.named.get(layer));
  }

  #parametersOf(layer: string): readonly Stop[] {
    return this.opened.stops.filter(({ role, name }) => role === "parameter" && splitName(name)[0] === layer);
  }

  #isTrained(stop: Stop): boolean {
    return this.opened.states.some(({ parameter }) => parameter.node === stop.node);
  }

  #derivativesOf(stop: Stop): Derivative[] {
    return [...this.#jacobians.cut(stop).leaves.keys()].flatMap((from) => {
      if (from.role === "parameter") return [];
      const { formula } = diagonalFormulas(this.opened, this.#jacobians, stop, from);
      return formula ? [{ of: stop.name, by: from.name, formula }] : [];
    });
  }

  #describe(name: string, symbol: Formula, node: Node, limit = LISTED): ArrayDescription {
    return describeArray(name, symbol, node.shape, this.opened.values.get(node), limit);
  }

  #computed(name: string, own: Formula, node: Node, limit = LISTED): Computed {
    const { bind } = this.opened;
    const bound = bind(node);
    const formula = bound && JSON.stringify(bound) !== JSON.stringify(own) ? bound : formulaOf(node, bind);
    return { ...this.#describe(name, own, node, limit), formula };
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
