/** One training step as a report: forward, loss, backward, update, layer by layer. */
import { showShape } from "../../graph/shape.ts";
import type { ArrayDescription, Computed } from "../description.ts";
import type { Explanation } from "../explanation.ts";
import { equal, type Formula, partial, symbol } from "../formula/formula.ts";
import { splitName } from "../open.ts";
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

/** @param sample the row of the batch to look at more closely */
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
              ...results.flatMap(computed),
              ...derivatives.map(({ of, by, formula: right }) => formula(equal(partial(named(of), named(by)), right))),
              ...parameters.map(array),
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
      ...explanation.update.map(({ parameter, formulas, before, after, state }) =>
        section(
          parameter,
          "",
          2,
          [...formulas.map(formula), array(before), ...state.map((each) => array(each.after)), array(after)],
          splitName(parameter)[0],
        ),
      ),
    ]),
  ];
}

const named = (name: string): Formula => {
  const [layer, own] = splitName(name);
  return layer === "" ? symbol("y", own) : symbol(own, layer);
};

function lossBlocks({ loss, opened }: Explanation, sample: number): Block[] {
  const { output, target, perSample } = loss;
  const of = (described: ArrayDescription): number[] => {
    const node = described === output ? opened.graph.output : opened.graph.y;
    const width = described.statistics.count / opened.batchSize;
    return Array.from(opened.values.get(node)).slice(sample * width, (sample + 1) * width);
  };
  const row = (label: string, values: readonly number[]): Block => ({
    kind: "array",
    label: symbol(label),
    shape: values.length > 1 ? [values.length] : [],
    values: values.length <= FEW ? values : undefined,
    statistics: output.statistics,
  });
  return [
    formula(equal(symbol("L"), loss.formula)),
    row(`output of sample ${sample}`, of(output)),
    row(`target of sample ${sample}`, of(target)),
    ...(perSample.length > 0 ? [line(`loss of sample ${sample} = `, perSample[sample])] : []),
    line(symbol("L"), " = ", loss.value),
  ];
}

function imageBlocks({ opened }: Explanation, sample: number): Block[] {
  const image = imageOf(opened.model.inputShape, opened.values.get(opened.graph.x), sample);
  return image ? [{ kind: "image", title: `Sample ${sample}`, ...image }] : [];
}
