/** A step along sequences as a report: gates, states and their gradients over time, and whom attention looks at. */
import type { Explanation } from "../explanation.ts";
import { type Block, line, note, section } from "./blocks.ts";

/** Of more places than this some are shown, at equal distances. */
const MOST_PLACES = 12;

/** The places to show, from 0, the first and the last among them. */
function shownOf(places: number): number[] {
  const count = Math.min(places, MOST_PLACES);
  return Array.from({ length: count }, (_, i) => (count === 1 ? 0 : Math.round((i * (places - 1)) / (count - 1))));
}

/** Nothing where the network has neither recurrent layers nor attention. */
export function sequenceBlocks(explanation: Explanation, sample: number): Block[] {
  const over = explanation.overPlaces.map(({ layer, arrays, vanished }) => {
    const shown = shownOf(arrays[0].mean.length);
    return section(layer, "means of gates and states, and the length of the gradient that comes back to each", 2, [
      {
        kind: "table",
        columns: ["place", ...arrays.map(({ name }) => name), ...arrays.map(({ name }) => `|∂L/∂${name}|`)],
        rows: shown.map((t) => [
          String(t + 1),
          ...arrays.map(({ mean }) => mean[t]),
          ...arrays.map(({ gradient }) => gradient[t]),
        ]),
        totals: [],
      },
      ...(vanished
        ? [
            note(
              `On its way back from place ${vanished.longest} the gradient has vanished at place ${vanished.place}: it is ${vanished.ratio.toExponential(1)} of what it was.`,
            ),
          ]
        : []),
    ]);
  });
  const attention = explanation.attention(sample).map(({ layer, heads }) =>
    section(layer, "whom each head looks at most", 2, [
      {
        kind: "table",
        columns: ["place", ...heads.map((_, h) => `head ${h + 1}`)],
        rows: shownOf(heads[0].length).map((t) => [String(t + 1), ...heads.map((rows) => mostOf(rows[t]))]),
        totals: [],
      },
      line("Each cell: the place that is looked at most, and its weight."),
    ]),
  );
  const blocks = [...over, ...attention];
  return blocks.length > 0 ? [section("Along the sequence", "place by place", 1, blocks)] : [];
}

function mostOf(weights: readonly number[]): string {
  const most = Math.max(...weights);
  return `${weights.indexOf(most) + 1} (${most.toFixed(2)})`;
}
