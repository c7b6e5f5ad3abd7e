/** Worked example 1: the forward pass of a 3-2-1 net, told term by term. Run it with `npx tsx examples/1-forward-pass.ts`. */
import { dense, sequential } from "chainrule";
import { explain, reportText, unitReport } from "chainrule/explain";

const model = sequential({ input: [3] }, [
  dense(2, { activation: "tanh", bias: false }),
  dense(1, { activation: "sigmoid", bias: false }),
]);
model.setWeight("dense_1.kernel", [
  [0.4, 0.3],
  [0.2, 0.7],
  [0.6, 0.5],
]);
model.setWeight("dense_2.kernel", [[0.8], [0.6]]);

export const step = await explain(model, { x: [[0.5, 0.2, 0.1]], y: [[1]] }, { loss: "meanSquaredError" });

for (const { layer, results } of step.forward) {
  for (const { name, values } of results) console.log(layer, name, values);
}
console.log(reportText(unitReport(step.unit("dense_1", 0))));
