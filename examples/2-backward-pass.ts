/**
 * Worked example 2: backpropagation through the net of example 1, with target 1, L = ½(o − t)² and η = 0.1. All weights
 * change at once, from gradients taken at the same weights.
 */
import { dense, sequential, sgd } from "chainrule";
import { explain, reportText, stepReport, weightReport } from "chainrule/explain";

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

export const step = await explain(
  model,
  { x: [[0.5, 0.2, 0.1]], y: [[1]] },
  { loss: "halfSquaredError", optimizer: sgd({ learningRate: 0.1 }) },
);

console.log(reportText(stepReport(step)));
console.log(reportText(weightReport(step.weight("dense_1.kernel", [0, 1], { follow: Infinity }))));
