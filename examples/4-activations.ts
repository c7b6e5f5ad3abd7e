/** Worked example 4: sigmoid, ReLU and tanh at −1, 0 and 1, with their derivatives. */
import { activation, sequential } from "chainrule";
import { explain, formulaText } from "chainrule/explain";

/** What the activation gives for each number. */
export const results: Record<string, readonly number[]> = {};

for (const name of ["sigmoid", "relu", "tanh"]) {
  const model = sequential({ input: [3] }, [activation(name)]);
  const step = await explain(model, { x: [[-1, 0, 1]], y: [[0, 0, 0]] }, { loss: "meanSquaredError" });
  const [layer] = step.forward;
  const [a] = layer.results;
  results[name] = a.values!;
  console.log(
    name.padEnd(8),
    formulaText(a.formula),
    a.values,
    "derivative",
    formulaText(layer.derivatives[0].formula),
  );
}
