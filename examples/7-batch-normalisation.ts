/** Worked example 7: batch normalisation of three rows of two features, with γ = 1 and β = 0. */
import { batchNorm, sequential } from "chainrule";
import { explain, reportText, unitReport } from "chainrule/explain";

const x = [
  [1, 2],
  [3, 4],
  [5, 6],
];
const model = sequential({ input: [2] }, [batchNorm()]);

export const step = await explain(model, { x, y: x }, { loss: "meanSquaredError" });

console.log(reportText(unitReport(step.unit("batchNorm_1", 0, { sample: 2 }))));
