/** chainrule/explain: one training step, opened up. This file lists what is public and holds no logic. */
export type * from "./description.ts";
export { explain } from "./explain.ts";
export { type DetailOptions, Explanation } from "./explanation.ts";
export type { Formula, RenderOptions } from "./formula/formula.ts";
export { formulaLatex } from "./formula/latex.ts";
export { formulaMathml } from "./formula/mathml.ts";
export { showNumber } from "./formula/number.ts";
export { formulaText } from "./formula/text.ts";
export { dot, type GraphOptions, mermaid } from "./graph-view.ts";
export type { ExplainOptions } from "./open.ts";
export type { Block } from "./report/blocks.ts";
export { type HtmlOptions, htmlPage } from "./report/html.ts";
export { type LatexOptions, latexDocument } from "./report/latex.ts";
export { planReport } from "./report/plan.ts";
export { stepReport } from "./report/step.ts";
export { reportText, type TextOptions } from "./report/text.ts";
export { unitReport } from "./report/unit.ts";
export { weightReport } from "./report/weight.ts";
