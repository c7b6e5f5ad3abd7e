/**
 * Worked example 3: a 1-2-2 ReLU net. The second hidden unit has z = −0.5: ReLU gives 0 and lets no gradient through, so
 * the unit is named as dead and its weight does not move.
 */
import { dense, sequential, sgd } from "chainrule";
import { explain, reportText, stepReport } from "chainrule/explain";

const model = sequential({ input: [1] }, [
  dense(2, { activation: "relu", bias: 0.1 }),
  dense(2, { activation: "relu", bias: 0.1 }),
]);
model.setWeight("dense_1.kernel", [[0.6, -0.4]]);
model.setWeight("dense_2.kernel", [
  [0.5, -0.3],
  [0.8, 0.2],
]);

export const step = await explain(
  model,
  { x: [[1.5]], y: [[1, 0]] },
  { loss: "halfSquaredError", optimizer: sgd({ learningRate: 0.1 }) },
);

console.log(reportText(stepReport(step)));
