/** One unit as a report: z term by term, the activation, where its gradient comes from. */
import type { UnitDescription, UnitStep } from "../description.ts";
import { equal, type Formula, number } from "../formula/formula.ts";
import { type Block, formula, type Inline, line, note, section, type Table } from "./blocks.ts";
import { chainBlocks, written } from "./weight.ts";

/**
 * The report on one unit, from `explanation.unit(…)`; `reportText`, `htmlPage` and `latexDocument` show it.
 * @param title what the sample is called: its number in a data set, say
 */
export function unitReport(
  { layer, unit, sample, steps, notes }: UnitDescription,
  title = `sample ${sample}`,
): Block[] {
  return [
    section(
      `Unit ${unit.join(", ")} of ${layer}`,
      title,
      1,
      [
        ...steps.map((step) => section(step.element.name, "", 2, stepBlocks(step), layer)),
        ...notes.map(({ message }) => note(message)),
        ...[...steps]
          .reverse()
          .map((step) => section(`Gradient of ${step.element.name}`, "", 2, chainBlocks(step.gradient), layer)),
      ],
      layer,
    ),
  ];
}

function stepBlocks({
  element,
  formula: right,
  numbers,
  contributions,
  rest,
  patch,
  shares,
  derivatives,
}: UnitStep): Block[] {
  const sides: Formula[] = [element.symbol, right];
  if (numbers) sides.push(numbers);
  const blocks: Block[] = [formula(equal(...sides, number(element.value)))];
  if (contributions) {
    const table: Table = {
      kind: "table",
      columns: ["weight", "value", "times", "value", "product"],
      rows: contributions.map(({ weight, factor, input, product }): Inline[] => [
        weight.symbol,
        weight.value,
        input?.symbol ?? "",
        factor,
        product,
      ]),
      totals: [
        ...(rest && rest.count > 0 ? [[`${rest.count} smaller`, "", "", "", rest.sum]] : []),
        [element.symbol, "", "", "", element.value],
      ],
    };
    blocks.push(table);
  }
  if (patch) blocks.push(...patchBlocks(patch));
  if (shares) {
    blocks.push({
      kind: "table",
      columns: ["depends on", "value", "derivative"],
      rows: shares.map(({ input, derivative }) => [input.symbol, input.value, derivative]),
      totals: [],
    });
  }
  return [...blocks, ...written(derivatives)];
}

/** Window and filter side by side, one pair of tables per input channel; the first four channels. */
function patchBlocks({ shape: [height, width, channels], input, filter }: NonNullable<UnitStep["patch"]>): Block[] {
  const grid = (values: readonly number[], channel: number): number[][] =>
    Array.from({ length: height }, (_, y) =>
      Array.from({ length: width }, (_, x) => values[(y * width + x) * channels + channel]),
    );
  const shown = Math.min(channels, 4);
  return [
    ...Array.from({ length: shown }, (_, channel): Block => {
      const [window, weights] = [grid(input, channel), grid(filter, channel)];
      return {
        kind: "table",
        columns: [
          `channel ${channel}: window`,
          ...new Array<string>(width - 1).fill(""),
          "·",
          "filter",
          ...new Array<string>(width - 1).fill(""),
        ],
        rows: window.map((row, y) => [...row, "", ...weights[y]]),
        totals: [],
      };
    }),
    ...(shown < channels ? [line(`… and ${channels - shown} more channels`)] : []),
  ];
}
