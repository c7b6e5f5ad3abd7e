/**
 * What an optimiser is: a rule for one parameter, written as graph maths and mapped over all of them. Numbers that change
 * from step to step (learning rate, bias corrections) are computed outside, in double precision, and given to the plan.
 * What every optimiser shares (the learning rate's schedule, clipping, weight decay) is done here, once.
 */
import { ABOVE_0, BELOW_1, checkNumbers, FROM_0, type Rule, readOptions, show } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { inScope, type Node } from "../graph/node.ts";
import { checkNode } from "../graph/op.ts";
import { add, flushSmall, flushTiny, mul } from "../ops/index.ts";
import { type ClippingOptions, clipGradients } from "./clipping.ts";
import { type LearningRate, type ScheduleMemory, scheduleOf } from "./schedules.ts";

/** What a rule sees of one parameter: its value w, its gradient dw, its state, this step's numbers. */
export interface RuleContext {
  /** The layer's name, which the nodes of its update bear. */
  readonly scope: string;
  readonly w: Node;
  readonly dw: Node;
  readonly state: Readonly<Record<string, Node>>;
  readonly scalars: Readonly<Record<string, Node>>;
}

/** The new value of a parameter and of its state. */
export interface RuleResult {
  readonly w: Node;
  readonly state?: Readonly<Record<string, Node>>;
}

/**
 * A way to make new weights of old ones and their gradients: what `adam()` and its like give, or an object of your own.
 */
export interface Optimizer {
  readonly name: string;
  /** The options it was made with, as plain JSON: for the model file, and to know a run again. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The names of the arrays it keeps per parameter; all begin at 0. */
  readonly state: readonly string[];
  /** The numbers of step t = 1, 2, …, in double precision. `memory` is what the schedule remembers of earlier epochs. */
  scalars(step: number, memory?: ScheduleMemory): Readonly<Record<string, number>>;
  /** What its schedule remembers after an epoch with this loss; absent if it takes no notice. */
  observe?(memory: ScheduleMemory | undefined, loss: number): ScheduleMemory;
  /** The new values of all parameters, in order. */
  update(parameters: readonly RuleContext[]): readonly RuleResult[];
}

/** Options of every optimiser. */
export interface OptimizerOptions extends ClippingOptions {
  /** η: a number, a schedule such as `cosineDecay({ … })`, or any function of the number of steps done. */
  readonly learningRate?: LearningRate;
  /** λ; 0 unless said. Adds λw to the gradient; in adamw and lion it shrinks w by ηλw beside the rule. */
  readonly weightDecay?: number;
}

/** What `defineOptimizer` makes an optimiser of. */
export interface OptimizerDefinition {
  readonly name: string;
  /** With every default filled in; what else is in it goes into `config`. */
  readonly options: OptimizerOptions & { readonly learningRate: LearningRate };
  /** The names of the arrays to keep per parameter; none unless said. */
  readonly state?: readonly string[];
  /** This step's numbers beside `learningRate`, step from 1; the rule has them as `scalars`. */
  readonly scalars?: (step: number, learningRate: number) => Record<string, number>;
  /** Whether the rule does weight decay itself. */
  readonly decoupled?: boolean;
  /** The new values of one parameter, as nodes. */
  readonly rule: (context: RuleContext) => RuleResult;
}

/**
 * Makes an optimiser of a rule for one parameter. Schedules, clipping and weight decay are done around it.
 *
 * @example
 * const signDescent = (options = {}) =>
 *   defineOptimizer({
 *     name: "signDescent",
 *     options: { learningRate: 0.01, ...options },
 *     rule: ({ w, dw, scalars }) => ({ w: sub(w, mul(scalars.learningRate, sub(greater(dw, 0), less(dw, 0)))) }),
 *   });
 * await model.fit(data, { loss: "crossEntropy", optimizer: signDescent({ globalClipNorm: 1 }) });
 */
export function defineOptimizer({
  name,
  options,
  state = [],
  scalars = () => ({}),
  decoupled = false,
  rule,
}: OptimizerDefinition): Optimizer {
  const { weightDecay = 0 } = options;
  checkNumbers(`${name}: `, { weightDecay }, FROM_0);
  const schedule = scheduleOf(name, options.learningRate);
  const learningRate = typeof options.learningRate === "number" ? options.learningRate : schedule.config;
  return {
    name,
    config: { ...options, learningRate },
    state,
    scalars: (step, memory) => {
      const rate = schedule.at(step - 1, memory);
      if (!(rate >= 0 && Number.isFinite(rate))) {
        throw new ArgumentError(
          `${name}: the learning rate's schedule gave ${rate} after ${step - 1} steps; a number ≥ 0 was wanted.`,
        );
      }
      return { learningRate: rate, ...scalars(step, rate) };
    },
    observe: schedule.observe?.bind(schedule),
    update: (parameters) => {
      const clipped = clipGradients(
        name,
        parameters.map(({ dw }) => dw),
        options,
      );
      const decays = weightDecay > 0 && !decoupled;
      return parameters.map((parameter, i) => {
        const result = inScope(parameter.scope, () =>
          rule({
            ...parameter,
            dw: decays ? add(clipped[i], mul(weightDecay, parameter.w)) : clipped[i],
            state: onlyKnown(name, "state", parameter.state),
            scalars: onlyKnown(name, "scalars", parameter.scalars),
          }),
        );
        for (const [key, node] of Object.entries({ ...result?.state, w: result?.w }))
          checkNode(`${name}: the rule's ${key} in { w, state }`, node);
        return result;
      });
    },
  };
}

/** What a rule may read, by name; reading another name is an error. */
const onlyKnown = (optimizer: string, what: string, nodes: Readonly<Record<string, Node>>) =>
  new Proxy(nodes, {
    get: (_, name) => {
      if (typeof name === "symbol" || name in nodes) return nodes[name as string];
      throw new ArgumentError(
        `${optimizer}: the rule reads ${what}.${name}, but has ${show(Object.keys(nodes))}. Name it in ${what}.`,
      );
    },
  });

const SHARED = ["weightDecay", "clipValue", "clipNorm", "globalClipNorm"];

/** What the numbers of the library's own optimisers must be. */
const RULES: Readonly<Record<string, Rule>> = {
  ...{ momentum: BELOW_1, rho: BELOW_1, beta1: BELOW_1, beta2: BELOW_1 },
  ...{ epsilon: ABOVE_0, momentumDecay: FROM_0 },
};

/** The options given, checked to be among the defaults' and those that all share, and the defaults for the rest. */
export const withDefaults = <D extends object, O extends object>(name: string, defaults: D, given: O): D & O =>
  readOptions(
    name,
    given,
    defaults,
    Object.fromEntries([...Object.keys(defaults), ...SHARED].map((key) => [key, RULES[key]])),
  );

/** g², of which what is too small to change √v + ε is left out. */
export function squareOf(dw: Node): Node {
  const g = flushSmall(dw);
  return mul(g, g);
}

/** v ← β v + (1 − β) x: the average of x over about 1 / (1 − β) steps, which ends at 0 where x has become 0. */
export const movingAverage = (v: Node, x: Node, beta: number): Node => flushTiny(add(mul(v, beta), mul(x, 1 - beta)));

/** v ← μ v + x, which ends at 0 where x has become 0. */
export const momentumOf = (v: Node, x: Node, mu: number): Node => flushTiny(add(mul(v, mu), x));
