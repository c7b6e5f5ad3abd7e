/** The plan of a training step as a report: one line for each pass over memory. */
import type { PlanDescription } from "../description.ts";
import { type Block, line, section } from "./blocks.ts";

const bytesText = (bytes: number): string =>
  bytes === 0
    ? ""
    : bytes < 1024
      ? `${bytes} B`
      : bytes < 2 ** 20
        ? `${(bytes / 1024).toFixed(1)} KB`
        : `${(bytes / 2 ** 20).toFixed(1)} MB`;

const count = (n: number): string => (n === 0 ? "" : n.toLocaleString("en"));

const short = (text: string, length: number): string => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

/** The report on a step's plan: what is computed when, and where it is kept. */
export function planReport({ steps, bytes, multiplyAdds, computedOnce }: PlanDescription): Block[] {
  return [
    section("Plan", "the passes over memory, in their order", 1, [
      {
        kind: "table",
        columns: ["", "phase", "ops", "stores", "memory", "products"],
        rows: steps.map(({ number, phase, ops, stores, bytes: own, multiplyAdds: products }) => [
          String(number),
          phase,
          short(ops.join("+"), 18),
          short(stores.join(", "), 20),
          bytesText(own).padStart(8),
          count(products).padStart(10),
        ]),
        totals: [],
      },
      line(
        `${steps.length} steps, ${bytesText(bytes)} beside the parameters, ${count(multiplyAdds)} multiply-adds. `,
        computedOnce ? "Nothing is computed twice." : "Something is computed twice.",
      ),
    ]),
  ];
}
