/**
 * Gradients against finite differences, in float64, on the user's own model: the proof that what trains is the
 * derivative of the loss. It reads the same graph that trains, and runs it with the reference interpreter.
 */
import { reference } from "../backends/reference/reference.ts";
import type { Node } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { type Shape, showShape, sizeOf, stridesOf } from "../graph/shape.ts";
import type { LossesOption } from "../nn/losses.ts";
import { makePlan } from "../plan/plan.ts";
import { RandomStream } from "../random.ts";
import { breathe } from "./breathe.ts";
import { arraysOf } from "./examples.ts";
import type { InferenceModel } from "./inference-model.ts";
import type { Data } from "./to-arrays.ts";
import { givenStep } from "./training-graph.ts";

/** One element of a gradient beside its finite difference. */
export interface ElementCheck {
  /** `dense_1.kernel` */
  readonly parameter: string;
  readonly index: readonly number[];
  /** ∂L/∂w by the chain rule. */
  readonly gradient: number;
  /** (L(w + ε) − L(w − ε)) / 2ε */
  readonly difference: number;
  /** How far they are apart, relative to the larger, or to 1e-4 · max(1, L) if both are smaller. */
  readonly error: number;
}

/** One parameter's gradient beside finite differences. */
export interface ParameterCheck {
  readonly parameter: string;
  readonly shape: Shape;
  /** How many of its elements were checked. */
  readonly checked: number;
  /** How many lie at a kink of the loss, as of a ReLU, where the gradient is that of one side. */
  readonly kinks: number;
  /** How many finite differences cannot measure: the loss's rounding hides them, or it bends too sharply. */
  readonly unmeasured: number;
  /** Of those that were measured, if any was. */
  readonly worst: ElementCheck;
}

/** What `gradcheck` found; as a string, a table. */
export interface GradientReport {
  readonly passed: boolean;
  readonly tolerance: number;
  readonly loss: number;
  readonly parameters: readonly ParameterCheck[];
  /** The worst element of all. */
  readonly worst: ElementCheck | undefined;
  /** A table: a line per parameter. */
  toString(): string;
}

/** Options of `gradcheck`. */
export interface GradcheckOptions {
  /** The one the model was trained with unless said. */
  readonly loss?: LossesOption;
  /** How many elements of each parameter, drawn at random; all of those that have fewer. 20 unless said. */
  readonly elements?: number;
  /** 1e-6 unless said. */
  readonly tolerance?: number;
}

/** Compares a gradient with differences of `lossAt`, which must depend on `values` as they are when it is called. */
export function checkElement(
  lossAt: () => number,
  values: Float64Array,
  place: number,
  gradient: number,
): { difference: number; error: number; kink: boolean; unmeasured: boolean } {
  const w = values[place];
  const at = (x: number): number => {
    values[place] = x;
    const loss = lossAt();
    values[place] = w;
    return loss;
  };
  const here = at(w);
  const floor = 1e-4 * Math.max(1, Math.abs(here));
  const apart = (a: number, b: number): number => Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b), floor);
  const tries = [];
  // A smaller step is tried where a kink may lie within the larger one.
  for (const step of [1e-5, 1e-6]) {
    const epsilon = step * Math.max(1, Math.abs(w));
    const [above, below] = [at(w + epsilon), at(w - epsilon)];
    const difference = (above - below) / (2 * epsilon);
    const error = apart(gradient, difference);
    if (error <= 1e-6) return { difference, error, kink: false, unmeasured: false };
    const [left, right] = [(here - below) / epsilon, (above - here) / epsilon];
    tries.push({ difference, error, left, right, gap: Math.abs(right - left), epsilon });
  }
  const [wide, near] = tries;
  const isBent = apart(near.left, near.right) > 1e-3;
  // At a kink the slopes of both sides stay apart in a smaller step, in a curve they come together.
  const stays = near.gap > 0.5 * wide.gap && near.gap < 2 * wide.gap;
  const isBetween = Math.abs(gradient - near.left) + Math.abs(gradient - near.right) <= near.gap * 1.001;
  // Any gradient between both sides is right.
  if (isBent && stays && isBetween) return { difference: near.difference, error: 0, kink: true, unmeasured: false };
  const { difference, error, epsilon } = near.error < wide.error ? near : wide;
  const rounding = (64 * Number.EPSILON * Math.abs(here)) / epsilon;
  const isSteady = apart(near.difference, wide.difference) <= 1e-3;
  const unmeasured = (isBent && !stays) || !isSteady || Math.abs(gradient - difference) <= rounding;
  return { difference, error, kink: false, unmeasured };
}

/** Which elements to check: all, or some drawn at random. */
export function chooseElements(size: number, count: number, name: string): readonly number[] {
  if (size <= count) return Array.from({ length: size }, (_, i) => i);
  const stream = new RandomStream(0, `gradcheck ${name}`);
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(stream.integer(size));
  return [...chosen].sort((a, b) => a - b);
}

const indexOf = (place: number, shape: Shape): number[] =>
  stridesOf(shape).map((stride, axis) => Math.floor(place / stride) % shape[axis]);

/**
 * Compares ∂L/∂w of every trainable parameter with finite differences, in float64, for one batch; with dropout as in the
 * first step, and with batch normalisation by the batch's statistics.
 *
 * @example
 * const report = await gradcheck(model, { x, y }, { loss: "crossEntropy" });
 * if (!report.passed) console.log(`${report}`);
 */
export async function gradcheck(
  model: InferenceModel<unknown>,
  batch: Data,
  { loss = model.trainedLoss(), elements = 20, tolerance = 1e-6 }: GradcheckOptions = {},
): Promise<GradientReport> {
  const { network } = model;
  const examples = model.examples(batch, loss);
  const graph = givenStep(network, loss, examples);
  const given: AnyArray[] = [...arraysOf(examples), Int32Array.of(0)];
  const session = reference("float64").open();
  const values = new Map<Node, Float64Array>();
  for (const { node } of network.parameters) values.set(node, Float64Array.from(await model.session.read(node)));
  for (const [node, array] of values) session.write(node, array);
  const inputs = [...graph.inputs.batch, graph.inputs.step];
  const forward = session.compile(makePlan({ inputs, outputs: [graph.loss] }));
  const backward = session.compile(makePlan({ inputs, outputs: graph.gradients }));
  const gradients = backward.run(given).outputs;

  const trainable = network.parameters.filter((parameter) => parameter.trainable);
  const parameters: ParameterCheck[] = [];
  for (const [i, { name, node }] of trainable.entries()) {
    const array = values.get(node)!;
    const lossAt = (): number => {
      session.write(node, array);
      return forward.run(given).outputs[0][0];
    };
    const checks = [];
    for (const place of chooseElements(array.length, elements, name)) {
      const gradient = gradients[i][place];
      const { kink, unmeasured, ...found } = checkElement(lossAt, array, place, gradient);
      const element = { parameter: name, index: indexOf(place, node.shape), gradient, ...found };
      checks.push({ element, kink, unmeasured });
      await breathe();
    }
    session.write(node, array);
    const measured = checks.filter(({ unmeasured }) => !unmeasured);
    parameters.push({
      parameter: name,
      shape: node.shape,
      checked: checks.length,
      kinks: checks.filter(({ kink }) => kink).length,
      unmeasured: checks.length - measured.length,
      worst: worstOf((measured.length > 0 ? measured : checks.slice(0, 1)).map(({ element }) => element))!,
    });
  }
  return report(parameters, forward.run(given).outputs[0][0], tolerance);
}

const worstOf = (elements: readonly ElementCheck[]): ElementCheck | undefined =>
  elements.reduce<ElementCheck | undefined>((so, next) => (so && next.error <= so.error ? so : next), undefined);

/** What was found of a parameter: that it is right, wrong, or that some of it could not be measured. */
function verdictOf({ checked, unmeasured, worst }: ParameterCheck, tolerance: number): "ok" | "WRONG" | "?" {
  if (unmeasured < checked && !(worst.error <= tolerance)) return "WRONG";
  return unmeasured > 0 ? "?" : "ok";
}

function report(parameters: readonly ParameterCheck[], loss: number, tolerance: number): GradientReport {
  const verdicts = parameters.map((parameter) => verdictOf(parameter, tolerance));
  const measured = parameters.filter(({ checked, unmeasured }) => unmeasured < checked);
  const worst = worstOf((measured.length > 0 ? measured : parameters).map((parameter) => parameter.worst));
  const passed = verdicts.every((verdict) => verdict === "ok");
  const number = (x: number): string => x.toExponential(6);
  return {
    passed,
    tolerance,
    loss,
    parameters,
    worst,
    toString: () =>
      [
        ...parameters.map(({ parameter, shape, checked, kinks, unmeasured, worst: found }, i) => {
          const { index, gradient, difference, error } = found;
          const of = checked < sizeOf(shape) ? ` of ${sizeOf(shape)}` : "";
          const atKinks = kinks > 0 ? `, ${kinks} at a kink` : "";
          const lost = unmeasured > 0 ? `, ${unmeasured} not measurable` : "";
          return `${verdicts[i].padEnd(5)} ${parameter}: ${checked}${of} elements${atKinks}${lost}; worst ${showShape(index)}: gradient ${number(gradient)}, finite difference ${number(difference)}, relative error ${error.toExponential(1)}`;
        }),
        passed
          ? `All gradients agree with finite differences (relative error at most ${(worst?.error ?? 0).toExponential(1)}).`
          : verdicts.includes("WRONG")
            ? `The gradient of ${worst!.parameter} is not the derivative of the loss. If an op or layer is your own, suspect its backward first.`
            : `Not all could be measured: the loss, ${number(loss)}, rounds such differences away or bends too sharply. Check on scaled rows.`,
      ].join("\n"),
  };
}
