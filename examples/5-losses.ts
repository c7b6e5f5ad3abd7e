/** Worked example 5: the losses of p = [0.7, 0.2, 0.1] where y = [1, 0, 0]. Cross-entropy takes logits: here, ln p. */
import { activation, sequential } from "chainrule";
import { explain, reportText, stepReport } from "chainrule/explain";

const p = [0.7, 0.2, 0.1];
const model = sequential({ input: [3] }, [activation("linear")]);

export const squared = await explain(model, { x: [p], y: [[1, 0, 0]] }, { loss: "meanSquaredError" });
export const entropy = await explain(model, { x: [p.map(Math.log)], y: [0] }, { loss: "crossEntropy" });

console.log(reportText(stepReport(squared)));
console.log(reportText(stepReport(entropy)));
