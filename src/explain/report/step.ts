/** One training step as a report: forward, loss, backward, update, layer by layer. */
import { showShape } from "../../graph/shape.ts";
import { statisticsOf } from "../describe-array.ts";
import type { ArrayDescription, Computed, LossDescription, OutputLossDescription } from "../description.ts";
import type { Explanation } from "../explanation.ts";
import { equal, type Formula, mapSymbols, partial, symbol } from "../formula/formula.ts";
import { splitName } from "../named-arrays.ts";
import type { Opened } from "../opened-step.ts";
import { explainUpdate } from "../optimizer-update.ts";
import { type Block, formula, line, note, section } from "./blocks.ts";
import { imageOf } from "./image.ts";
import { sequenceBlocks } from "./sequence.ts";
import { arithmetic } from "./weight.ts";

/** Arrays of more elements than this are told by their statistics. */
const FEW = 16;

const array = ({ symbol: label, shape, values, statistics }: ArrayDescription): Block => ({
  kind: "array",
  label,
  shape,
  values: values && values.length <= FEW ? values : undefined,
  statistics,
});

const computed = (result: Computed): Block[] => [formula(equal(result.symbol, result.formula)), array(result)];

/**
 * The report on a whole training step: forward, loss, backward, update.
 * @param sample the row of the batch to look at more closely
 * @param title what that row is called: its number in a data set, say
 */
export function stepReport(explanation: Explanation, sample = 0, title = `sample ${sample}`): Block[] {
  const { step, batchSize, lossName, optimizer, engine, scalars, stops } = explanation.opened;
  const symbolOf = (name: string): Formula => stops.find((stop) => stop.name === name)!.symbol;
  const rows = batchSize === 1 ? "one sample" : `a batch of ${batchSize} samples`;
  return [
    section("One training step", "", 1, [
      line(`Step ${step} on ${rows}; loss ${lossName}; optimiser ${optimizer.name}; weights from the model.`),
      line("Loss ", explanation.loss.value, `; the engine (${engine.description}) says `, engine.loss, "."),
    ]),
    ...imageBlocks(explanation, sample, title),
    section("Forward", "from the input to the output", 1, [
      ...explanation.forward.map(
        ({ layer, kind, description, inputShape, outputShape, results, parameters, derivatives, notes }) =>
          section(
            layer,
            `${kind}${description ? ` ${description}` : ""}, ${showShape(inputShape)} → ${showShape(outputShape)}`,
            2,
            [
              ...parameters.map(array),
              ...results.flatMap(computed),
              ...derivatives.map(({ of, by, formula: right }) =>
                formula(equal(partial(symbolOf(of), symbolOf(by)), right)),
              ),
              ...notes.map(({ message }) => note(message)),
            ],
            layer,
          ),
      ),
    ]),
    section("Loss", lossName, 1, lossBlocks(explanation, sample, title)),
    section("Backward", "from the loss to the first layer", 1, [
      ...explanation.backward.map(({ layer, results, parameters }) =>
        section(layer, "", 2, [...results, ...parameters].flatMap(computed), layer),
      ),
    ]),
    ...sequenceBlocks(explanation, sample),
    section("Update", `${optimizer.name}, step ${step}`, 1, [
      ...Object.entries(scalars).map(([name, value]) => line(symbol(name), " = ", value)),
      line("The gradients here are the engine's, in single precision, as in training."),
      ...updateBlocks(explanation),
    ]),
  ];
}

/** What all parameters share, then the rule, once if it is the same for all, then each parameter's arrays. */
function updateBlocks({ opened, update: updates }: Explanation): Block[] {
  const key = (f: Formula): string => JSON.stringify(f);
  const isShared = (f: Formula): boolean =>
    updates.length > 1 && updates.every(({ formulas }) => formulas.some((other) => key(other) === key(f)));
  const own = updates.map(({ formulas }) => formulas.filter((f) => !isShared(f)));
  const rules = updates.map(({ parameter }, i) => own[i].map((f) => renamed(f, parameter)));
  const isCommon = rules.length > 1 && rules.every((rule) => JSON.stringify(rule) === JSON.stringify(rules[0]));
  return [
    ...(updates[0]?.formulas.filter(isShared) ?? []).map(formula),
    ...(isCommon ? [line("For every parameter w:"), ...rules[0].map(formula)] : []),
    ...updates.map((update, i) => {
      const { parameter, before, gradient, state, after } = update;
      const [empty, kept] = [true, false].map((want) => state.filter((each) => isZero(each.before) === want));
      const arrays = [before, gradient, ...kept.map((each) => each.before)];
      const next = [...state.map((each) => each.after), after];
      return section(
        parameter,
        "",
        2,
        [
          ...(isCommon ? [] : own[i].map(formula)),
          ...arrays.map(array),
          ...empty.map((each) => line(each.before.symbol, " = ", 0)),
          ...next.map(array),
          ...exampleBlocks(opened, parameter),
        ],
        splitName(parameter)[0],
      );
    }),
  ];
}

const isZero = ({ statistics: { zeros, count } }: ArrayDescription): boolean => zeros === count;

/** The arithmetic of one element, that with the largest gradient, in numbers. */
function exampleBlocks(opened: Opened, parameter: string): Block[] {
  const stop = opened.stops.find(({ name }) => name === parameter)!;
  const gradient = opened.engine.gradients.get(parameter)!;
  let largest = 0;
  for (let i = 1; i < gradient.length; i++) if (Math.abs(gradient[i]) > Math.abs(gradient[largest])) largest = i;
  const example = explainUpdate(opened, stop, largest);
  return example ? [line("Where the gradient is largest:"), ...example.steps.map(arithmetic)] : [];
}

/** The parameter called w, whatever its name. */
const renamed = (f: Formula, parameter: string): Formula =>
  mapSymbols(f, (name) => {
    const [layer, own] = splitName(parameter);
    const isParameter = name.layer === layer && name.letter === own;
    return isParameter ? { ...name, letter: "w", layer: "" } : name.layer === parameter ? { ...name, layer: "" } : name;
  });

function lossBlocks({ loss, opened }: Explanation, sample: number, title: string): Block[] {
  const total = line(symbol("L"), " = ", loss.value, opened.batchSize > 1 ? ", the mean over the batch" : "");
  const whole = formula(equal(symbol("L"), loss.formula));
  const of = opened.batchSize > 1 ? [line(`Of ${title}:`)] : [];
  if (!loss.outputs) return [whole, ...of, ...outputBlocks(loss, opened.batchSize, sample), total];
  const times = (weight: number): string => (weight === 1 ? "" : `, times ${weight}`);
  return [
    whole,
    ...loss.outputs.map((own) =>
      section(own.of, own.name, 2, [
        formula(equal(symbol("L", own.of), own.formula)),
        ...of,
        ...outputBlocks(own, opened.batchSize, sample),
        line(symbol("L", own.of), " = ", own.value, times(own.weight)),
      ]),
    ),
    total,
  ];
}

/** What goes into a loss, for one sample, and where the backward pass begins. */
function outputBlocks(
  { output, target, perSample, derivative, operands }: OutputLossDescription | LossDescription,
  batchSize: number,
  sample: number,
): Block[] {
  const row = ({ symbol: label, values, statistics }: ArrayDescription): Block => {
    const width = (values?.length ?? 0) / batchSize;
    const own = values?.slice(sample * width, (sample + 1) * width);
    return {
      kind: "array",
      label,
      shape: width > 1 ? [width] : [],
      values: own && own.length <= FEW ? own : undefined,
      statistics: own ? statisticsOf(own) : statistics,
    };
  };
  return [
    ...[output, target].flatMap((array) => (array ? [row(array)] : [])),
    ...(perSample.length > 1 ? [line("its loss = ", perSample[sample])] : []),
    ...(derivative
      ? [formula(equal(derivative.symbol, derivative.formula)), ...operands.map(row), row(derivative)]
      : []),
  ];
}

function imageBlocks({ opened }: Explanation, sample: number, title: string): Block[] {
  const { model, graph, values } = opened;
  return model.network.inputs.flatMap(({ name, shape }, i): Block[] => {
    const image = imageOf(shape, values.get(graph.x[i]), sample);
    const caption = name === undefined ? title : `${name} of ${title}`;
    return image ? [{ kind: "image", title: caption[0].toUpperCase() + caption.slice(1), ...image }] : [];
  });
}
