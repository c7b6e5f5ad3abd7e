/**
 * Worked example 8: a net of ten layers. The gradient of the first layer's weights equals the finite difference, and the
 * plan shows that each derivative is computed once, stored, and read by the steps that need it.
 */
import { dense, RandomStream, sequential } from "chainrule";
import { explain } from "chainrule/explain";

const model = sequential({ input: [4], seed: 1 }, [
  ...Array.from({ length: 9 }, () => dense(5, { activation: "tanh" })),
  dense(3),
]);
const stream = new RandomStream(1, "ten layers");
const x = Array.from({ length: 6 }, () => Array.from({ length: 4 }, () => stream.normal()));
const y = x.map(() => stream.integer(3));

export const step = await explain(model, { x, y }, { loss: "crossEntropy" });
export const checks = Array.from({ length: 20 }, (_, i) => step.weight("dense_1.kernel", [Math.floor(i / 5), i % 5]));
export const plan = step.plan();

for (const { weight, chain, finiteDifference } of checks) {
  console.log(weight.index, chain.gradient, "finite difference", finiteDifference.value);
}
for (const { number, phase, ops, stores } of plan.steps) console.log(number, phase, ops.join("+"), stores.join(", "));
