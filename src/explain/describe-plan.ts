/** The plan that trains, as a table: passes over memory in their order, with names from the user's network. */
import { constantArray, fillValue } from "../graph/leaf.ts";
import { type Node, nameOf } from "../graph/node.ts";
import { sizeOf } from "../graph/shape.ts";
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
  readonly #objects = new Map<unknown, number>();

  numberOf(node: Node): number {
    const known = this.#numbers.get(node);
    if (known !== undefined) return known;
    const key = this.#keyOf(node);
    const number = this.#keys.get(key) ?? this.#keys.size;
    this.#keys.set(key, number);
    this.#numbers.set(node, number);
    return number;
  }

  #keyOf(node: Node): string {
    const values = constantArray(node);
    if (values || (node.op.meaning.kind === "leaf" && fillValue(node) === undefined)) {
      const identity = values ?? node;
      if (!this.#objects.has(identity)) this.#objects.set(identity, this.#objects.size);
      return `leaf ${this.#objects.get(identity)}`;
    }
    return `${node.op.name}(${node.inputs.map((x) => this.numberOf(x))})${JSON.stringify(node.attributes)}${node.shape}`;
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
function namesIn({ stops, gradient, values, graph }: Opened, plan: Plan, equality: Equality): Map<number, string> {
  const names = new Map<number, string>();
  const name = (node: Node, text: string): void => {
    const number = equality.numberOf(values.primitiveOf(node));
    if (!names.has(number)) names.set(number, text);
  };
  for (const stop of stops) name(stop.node, stop.name);
  for (const stop of [...stops].reverse()) {
    if (stop.role === "loss" || stop.node.dtype !== "float") continue;
    name(gradient(stop.node), formulaText(partial(symbol("L"), symbol(stop.name))));
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
