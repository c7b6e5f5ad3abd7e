/** Runs a small graph at once, on any backend. */
import type { ImmediateBackend } from "../../src/backends/backend.ts";
import { reference } from "../../src/backends/reference/reference.ts";
import type { Node } from "../../src/graph/node.ts";
import type { AnyArray } from "../../src/graph/op.ts";
import { makePlan } from "../../src/plan/plan.ts";

/** The values of `outputs`, given those of inputs and variables. */
export function run(
  outputs: readonly Node[],
  given: ReadonlyMap<Node, AnyArray | readonly number[]>,
  backend: ImmediateBackend = reference("float64"),
): AnyArray[] {
  const session = backend.open();
  const inputs = [...given.keys()].filter((node) => node.op.name === "input");
  for (const [node, values] of given) if (node.op.name === "variable") session.write(node, values);
  const arrays = inputs.map((node) => {
    const values = given.get(node)!;
    return node.dtype === "int" ? Int32Array.from(values) : Float64Array.from(values);
  });
  return [...session.compile(makePlan({ inputs, outputs })).run(arrays).outputs];
}
