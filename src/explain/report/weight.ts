/** One weight as a report: the chain rule with its numbers, the optimiser's arithmetic, the checks. */
import type { ArithmeticStep, ChainSum, ChainTerm, Factor, WeightDescription } from "../description.ts";
import {
  equal,
  type Formula,
  mapSymbols,
  number,
  partial,
  type SymbolFormula,
  symbol,
  times,
} from "../formula/formula.ts";
import { showNumber } from "../formula/number.ts";
import { formulaText } from "../formula/text.ts";
import { splitName } from "../named-arrays.ts";
import { type Block, formula, type Inline, line, section } from "./blocks.ts";

/** Without the places of elements: ∂L/∂z[3, 5] → ∂L/∂z. */
const withoutIndex = (f: Formula): Formula => mapSymbols(f, ({ index: _, ...rest }) => rest);

const keyOf = ({ factors }: ChainTerm): string => factors.map((f) => formulaText(withoutIndex(f.symbol))).join(" ");

/** The sum of products as tables, one for each kind of path, with the first term written out. */
export function chainBlocks(chain: ChainSum): Block[] {
  const { of, gradient, terms, rest, total, formula: right, numbers } = chain;
  const own = partial(symbol("L"), of.symbol);
  if (terms.length === 0) {
    return [line(own, " = ", gradient, ": no path to the loss lets anything through.")];
  }
  if (terms.every(({ through }) => through.name === "loss") && right && numbers) {
    return [formula(equal(own, right, numbers, number(gradient)))];
  }
  const groups = new Map<string, ChainTerm[]>();
  for (const term of terms) groups.set(keyOf(term), [...(groups.get(keyOf(term)) ?? []), term]);
  const several = terms.length + rest.count > 1;
  const blocks: Block[] = [...groups.values()].flatMap((group): Block[] => {
    const factors = group[0].factors.map((factor) => withoutIndex(factor.symbol));
    const headings = factors.map(withoutLayer);
    const product = times(factors);
    const sumOfProducts: Formula = several ? { kind: "sum", over: "", of: product } : product;
    return [
      formula(equal(withoutIndex(own), sumOfProducts)),
      {
        kind: "table",
        columns: ["through", ...headings, "product"],
        rows: group.map((term) => [term.through.symbol, ...term.factors.map(({ value }) => value), term.product]),
        totals: [],
      },
      ...written(group[0].factors),
    ];
  });
  const sums: Inline[][] = [
    ...(rest.count > 0 ? [[`${rest.count} smaller ${rest.count === 1 ? "term" : "terms"}, together`, rest.sum]] : []),
    ...(several ? [["the sum of all terms", total]] : []),
    [own, gradient],
  ];
  const origins = terms.flatMap(({ origin }) =>
    origin
      ? [section(formulaText(partial(symbol("L"), origin.of.symbol)), "followed back", 3, chainBlocks(origin))]
      : [],
  );
  return [...blocks, { kind: "table", columns: ["", ""], rows: sums, totals: [] }, ...origins];
}

/** For the heads of columns, under the formula with the full names. */
const withoutLayer = (f: Formula): Formula => mapSymbols(f, (name) => ({ ...name, layer: "" }));

/** The factors that have formulas, written out with their numbers: ∂a/∂z = 1 − a² = 1 − 0.33² = 0.89. */
export const written = (factors: readonly Factor[]): Block[] =>
  factors.flatMap(({ symbol: own, formula: f, numbers, value }) =>
    f && numbers && numbers.kind !== "number" && numbers.kind !== "value"
      ? [formula(equal(own, f, numbers, number(value)))]
      : [],
  );

/** One line of the optimiser's arithmetic: m′ = 0.9 · m + 0.1 · ∂L/∂w = 0.9 · 0 + 0.1 · 2 = 0.2. */
export const arithmetic = ({ symbol: left, formula: f, numbers, value }: ArithmeticStep): Block =>
  numbers.kind === "number" || numbers.kind === "value"
    ? formula(equal(left, withoutIndex(f), number(value)))
    : formula(equal(left, withoutIndex(f), numbers, number(value)));

/**
 * The report on one weight, from `explanation.weight(…)`; `reportText`, `htmlPage` and `latexDocument` show it.
 *
 * @example
 * console.log(reportText(weightReport(step.weight("dense_1.kernel", [0, 0]))));
 */
export function weightReport({
  weight,
  trainable,
  chain,
  update,
  finiteDifference: check,
  engine,
}: WeightDescription): Block[] {
  const [layer] = splitName(weight.name);
  const own = weight.symbol as SymbolFormula;
  const gradient = partial(symbol("L"), own);
  const { epsilon, above, below, value, relativeError, agrees } = check;
  return [
    section(
      `Weight ${formulaText(own)}`,
      "",
      1,
      [
        line(own, " = ", weight.value, trainable ? "" : " (not trained)"),
        section("Chain rule", "", 2, chainBlocks(chain), layer),
        ...(update
          ? [
              section(
                "Update",
                `${update.optimizer}, step ${update.step}`,
                2,
                [
                  ...[...update.scalars, ...update.state].map((each) => line(each.symbol, " = ", each.value)),
                  ...(engine && showNumber(engine.gradient) !== showNumber(chain.gradient)
                    ? [
                        line(
                          gradient,
                          " = ",
                          engine.gradient,
                          " in the engine's single precision, from which it goes on",
                        ),
                      ]
                    : []),
                  ...update.steps.map(arithmetic),
                ],
                layer,
              ),
            ]
          : []),
        section(
          "Check",
          "by nudging the weight",
          2,
          [
            line("L(w + ε) = ", above, ", L(w − ε) = ", below, ", ε = ", epsilon),
            line("(L(w + ε) − L(w − ε)) / 2ε = ", value),
            line(
              gradient,
              " = ",
              chain.gradient,
              `: ${agrees ? "agrees" : "DOES NOT AGREE"}, relative error `,
              relativeError,
            ),
            ...(engine
              ? [
                  line(
                    `The engine (${engine.description}) has gradient `,
                    engine.gradient,
                    " and new weight ",
                    engine.after,
                    ".",
                  ),
                ]
              : []),
          ],
          layer,
        ),
      ],
      layer,
    ),
  ];
}
