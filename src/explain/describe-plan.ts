/** The plan that trains, as a table: passes over memory in their order, with names from the user's network. */
import { nodeKeys } from "../graph/equality.ts";
import { type Node, nameOf } from "../graph/node.ts";
import { sizeOf } from "../graph/shape.ts";
import { lower } from "../plan/lower.ts";
import { type Plan, type Step, stepFlops } from "../plan/plan.ts";
import { trainingPlan } from "../train/training-graph.ts";
import type { PlanDescription, PlanStep } from "./description.ts";
import { partial, symbol } from "./formula/formula.ts";
import { formulaText } from "./formula/text.ts";
import type { Opened } from "./opened-step.ts";

/** Numbers nodes so that two that compute the same have the same number, whichever pass of the planner made them. */
class Equality {
  readonly #numbers = new Map<Node, number>();
  readonly #keys = new Map<string, number>();
  readonly #keyOf = nodeKeys((input) => this.numberOf(input));

  numberOf(node: Node): number {
    const known = this.#numbers.get(node);
    if (known !== undefined) return known;
    const key = this.#keyOf(node);
    const number = this.#keys.get(key) ?? this.#keys.size;
    this.#keys.set(key, number);
    this.#numbers.set(node, number);
    return number;
  }
}

export function describePlan(opened: Opened): PlanDescription {
  const plan = trainingPlan(opened.graph);
  const equality = new Equality();
  const names = namesIn(opened, plan, equality);
  const nameAt = (node: Node): string => names.get(equality.numberOf(node)) ?? nameOf(node);
  const steps = plan.steps.map((step, i) => describeStep(step, i, plan, nameAt));
  const computed = plan.steps.flatMap(({ nodes }) => nodes.map((node) => equality.numberOf(node)));
  return {
    steps,
    bytes: plan.arenaBytes,
    multiplyAdds: steps.reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0),
    computedOnce: new Set(computed).size === computed.length,
  };
}

/** What the plan's nodes are called: named arrays, their gradients, new values. */
function namesIn({ stops, gradient, graph }: Opened, plan: Plan, equality: Equality): Map<number, string> {
  const named: [Node, string][] = stops.map(({ node, name }) => [node, name]);
  for (const stop of [...stops].reverse()) {
    if (stop.role === "loss" || stop.node.dtype !== "float") continue;
    named.push([gradient(stop.node), formulaText(partial(symbol("L"), symbol(stop.name)))]);
  }
  // The plan has the parts of composites in their place, so they are put there here, too.
  const { outputs } = lower({ inputs: [], outputs: named.map(([node]) => node) });
  const names = new Map<number, string>();
  for (const [i, [, text]] of named.entries()) {
    const number = equality.numberOf(outputs[i]);
    if (!names.has(number)) names.set(number, text);
  }
  for (const [i, { value }] of plan.updates.entries()) {
    const number = equality.numberOf(value);
    if (!names.has(number)) names.set(number, `${nameOf(graph.updates[i].variable)}′`);
  }
  return names;
}

function describeStep(step: Step, i: number, plan: Plan, nameAt: (node: Node) => string): PlanStep {
  const structural = [...(step.root ? [step.root] : []), ...step.reductions];
  const operations = step.elementwise.reduce((sum, node) => sum + sizeOf(node.shape), 0);
  const own = new Set(step.nodes);
  return {
    number: i + 1,
    phase: step.nodes[step.nodes.length - 1].phase,
    ops: step.nodes.map((node) => node.op.name),
    stores: step.writes.map(nameAt),
    reads: step.reads.filter((node) => !own.has(node)).map(nameAt),
    bytes: step.writes.reduce((sum, node) => sum + (plan.slots.get(node)?.bytes ?? 0), 0),
    multiplyAdds: structural.length > 0 ? Math.round((stepFlops(step) - operations) / 2) : 0,
    operations,
  };
}
