/** Worked example 6: one update by gradient descent, w ← w − η ∂L/∂w. With L = x·w the gradient is x itself. */
import { dense, sequential, sgd, sum } from "chainrule";
import { explain, reportText, weightReport } from "chainrule/explain";

const model = sequential({ input: [2] }, [dense(1, { bias: false })]);
model.setWeight("dense_1.kernel", [[0.5], [0.3]]);

export const step = await explain(
  model,
  { x: [[0.1, 0.2]], y: [[0]] },
  { loss: (output) => sum(output, 1), optimizer: sgd({ learningRate: 0.01 }) },
);

console.log(step.update[0].after.values);
console.log(reportText(weightReport(step.weight("dense_1.kernel", [0, 0]))));
