/** Gradient accumulation: a wrapper that lets any optimiser step only after several batches, with their mean gradient. */
import { checkWhole } from "../checks.ts";
import { add, mul, select } from "../ops/index.ts";
import type { Optimizer, RuleContext } from "./optimizer.ts";

/**
 * An optimiser that adds up the gradients of `batches` batches and then steps once with their mean, as if they had been
 * one batch: for batches larger than memory allows. Schedules count its steps, not the batches.
 *
 * @example
 * const optimizer = accumulate(adam({ learningRate: 1e-3 }), 4);
 */
export function accumulate(optimizer: Optimizer, batches: number): Optimizer {
  checkWhole("accumulate: the number of ", { batches }, 1);
  return {
    name: optimizer.name,
    config: { ...optimizer.config, accumulate: batches },
    state: [...optimizer.state, "accumulated"],
    // Until the last batch the inner optimiser's numbers are those of the step to come; what it makes is not used.
    scalars: (step, memory) => ({
      ...optimizer.scalars(Math.ceil(step / batches), memory),
      steps: step % batches === 0 ? 1 : 0,
    }),
    observe: optimizer.observe?.bind(optimizer),
    update: (parameters) => {
      const totals = parameters.map(({ dw, state }) => add(state.accumulated, dw));
      const inner = optimizer.update(
        parameters.map((parameter, i): RuleContext => ({ ...parameter, dw: mul(totals[i], 1 / batches) })),
      );
      return inner.map((next, i) => {
        const { w, state, scalars } = parameters[i];
        const kept = Object.entries(next.state ?? {}).map(
          ([name, value]) => [name, select(scalars.steps, value, state[name])] as const,
        );
        return {
          w: select(scalars.steps, next.w, w),
          state: { ...Object.fromEntries(kept), accumulated: select(scalars.steps, 0, totals[i]) },
        };
      });
    },
  };
}
