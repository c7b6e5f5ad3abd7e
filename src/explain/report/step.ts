/** One training step as a report: forward, loss, backward, update, layer by layer. */
import { showShape } from "../../graph/shape.ts";
import { statisticsOf } from "../arrays.ts";
import type { ArrayDescription, Computed, UpdateDescription } from "../description.ts";
import type { Explanation } from "../explanation.ts";
import { equal, type Formula, mapSymbols, partial, symbol } from "../formula/formula.ts";
import { splitName } from "../stops.ts";
import { type Block, formula, line, note, section } from "./blocks.ts";
import { imageOf } from "./image.ts";

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
 */
export function stepReport(explanation: Explanation, sample = 0): Block[] {
  const { step, batchSize, lossName, optimizer, engine, scalars } = explanation.opened;
  const rows = batchSize === 1 ? "one sample" : `a batch of ${batchSize} samples`;
  return [
    section("One training step", "", 1, [
      line(`Step ${step} on ${rows}; loss ${lossName}; optimiser ${optimizer.name}; weights from the model.`),
      line("Loss ", explanation.loss.value, `; the engine (${engine.description}) says `, engine.loss, "."),
    ]),
    ...imageBlocks(explanation, sample),
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
              ...derivatives.map(({ of, by, formula: right }) => formula(equal(partial(named(of), named(by)), right))),
              ...notes.map(({ message }) => note(message)),
            ],
            layer,
          ),
      ),
    ]),
    section("Loss", lossName, 1, lossBlocks(explanation, sample)),
    section("Backward", "from the loss to the first layer", 1, [
      ...explanation.backward.map(({ layer, results, parameters }) =>
        section(layer, "", 2, [...results, ...parameters].flatMap(computed), layer),
      ),
    ]),
    section("Update", `${optimizer.name}, step ${step}`, 1, [
      ...Object.entries(scalars).map(([name, value]) => line(symbol(name), " = ", value)),
      ...updateBlocks(explanation.update),
    ]),
  ];
}

/** What all parameters share, then the rule, once if it is the same for all, then each parameter's arrays. */
function updateBlocks(updates: readonly UpdateDescription[]): Block[] {
  const key = (f: Formula): string => JSON.stringify(f);
  const isShared = (f: Formula): boolean =>
    updates.length > 1 && updates.every(({ formulas }) => formulas.some((other) => key(other) === key(f)));
  const own = updates.map(({ formulas }) => formulas.filter((f) => !isShared(f)));
  const rules = updates.map(({ parameter }, i) => own[i].map((f) => renamed(f, parameter)));
  const isCommon = rules.length > 1 && rules.every((rule) => JSON.stringify(rule) === JSON.stringify(rules[0]));
  return [
    ...(updates[0]?.formulas.filter(isShared) ?? []).map(formula),
    ...(isCommon ? [line("For every parameter w:"), ...rules[0].map(formula)] : []),
    ...updates.map(({ parameter, state, after }, i) =>
      section(
        parameter,
        "",
        2,
        [...(isCommon ? [] : own[i].map(formula)), ...state.map((each) => array(each.after)), array(after)],
        splitName(parameter)[0],
      ),
    ),
  ];
}

/** The parameter called w, whatever its name. */
const renamed = (f: Formula, parameter: string): Formula =>
  mapSymbols(f, (name) => {
    const [layer, own] = splitName(parameter);
    const isParameter = name.layer === layer && name.letter === own;
    return isParameter ? { ...name, letter: "w", layer: "" } : name.layer === parameter ? { ...name, layer: "" } : name;
  });

const named = (name: string): Formula => {
  const [layer, own] = splitName(name);
  return layer === "" ? symbol("y", own) : symbol(own, layer);
};

function lossBlocks({ loss, opened }: Explanation, sample: number): Block[] {
  const { output, target, perSample, derivative, operands } = loss;
  const row = ({ symbol: label, values, statistics }: ArrayDescription): Block => {
    const width = (values?.length ?? 0) / opened.batchSize;
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
    formula(equal(symbol("L"), loss.formula)),
    ...(opened.batchSize > 1 ? [line(`Of sample ${sample}:`)] : []),
    row(output),
    row(target),
    ...(perSample.length > 1 ? [line("its loss = ", perSample[sample])] : []),
    ...(derivative
      ? [formula(equal(derivative.symbol, derivative.formula)), ...operands.map(row), row(derivative)]
      : []),
    line(symbol("L"), " = ", loss.value, opened.batchSize > 1 ? ", the mean over the batch" : ""),
  ];
}

function imageBlocks({ opened }: Explanation, sample: number): Block[] {
  const image = imageOf(opened.model.inputShape, opened.values.get(opened.graph.x), sample);
  return image ? [{ kind: "image", title: `Sample ${sample}`, ...image }] : [];
}
