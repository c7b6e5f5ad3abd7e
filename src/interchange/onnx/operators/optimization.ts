/** Steps of optimisers as operators (ai.onnx.preview.training): arrays and their gradients in, the next ones out. */
import type { Node } from "../../../graph/node.ts";
import { add, div, greater, mul, pow, reshape, select, sqrt, sub } from "../../../ops/index.ts";
import type { Call, Operator, Operators } from "../call.ts";
import { Value } from "../value.ts";
import { range } from "./moving.ts";

interface Step {
  readonly rate: Node;
  /** How many steps were done before. */
  readonly count: Node;
  readonly x: Node;
  readonly gradient: Node;
  readonly states: readonly Node[];
}

/** After rate and count come all arrays, then all gradients, then each kind of state; out come arrays and states. */
const optimizer =
  (stateCount: number, step: (step: Step, call: Call) => readonly Node[]): Operator =>
  (call) => {
    const scalar = (i: number): Node => reshape(call.operand(i), []);
    const arrays = (call.inputs.length - 2) / (2 + stateCount);
    const results = range(arrays).map((i) => {
      const of = (kind: number): Node => call.operand(2 + kind * arrays + i);
      const x = of(0);
      // The penalty on the squares of the weights is part of the gradient.
      const gradient = add(of(1), mul(call.number("norm_coefficient", 0), x));
      const states = range(stateCount).map((k) => of(2 + k));
      return step({ rate: scalar(0), count: scalar(1), x, gradient, states }, call);
    });
    return range(1 + stateCount).flatMap((k) => results.map((nodes, i) => new Value(nodes[k], call.value(2 + i).type)));
  };

const momentum = optimizer(1, ({ rate, count, x, gradient, states: [v] }, call) => {
  const [alpha, beta] = [call.number("alpha", 0), call.number("beta", 0)];
  const next = add(mul(alpha, v), mul(select(greater(count, 0), beta, 1), gradient));
  const direction = call.text("mode", "standard") === "nesterov" ? add(gradient, mul(alpha, next)) : next;
  return [sub(x, mul(rate, direction)), next];
});

const adagrad = optimizer(1, ({ rate, count, x, gradient, states: [h] }, call) => {
  const next = add(h, mul(gradient, gradient));
  const decayed = div(rate, add(1, mul(call.number("decay_factor", 0), count)));
  return [sub(x, div(mul(decayed, gradient), add(sqrt(next), call.number("epsilon", 1e-6)))), next];
});

const adam = optimizer(2, ({ rate, count, x, gradient, states: [v, h] }, call) => {
  const [alpha, beta] = [call.number("alpha", 0.9), call.number("beta", 0.999)];
  const first = add(mul(alpha, v), mul(1 - alpha, gradient));
  const second = add(mul(beta, h), mul(1 - beta, mul(gradient, gradient)));
  const isLater = greater(count, 0);
  // At step 0 both corrections would divide by nothing.
  const power = (base: number): Node => select(isLater, pow(base, select(isLater, count, 1)), 0);
  const corrected = select(isLater, div(mul(rate, sqrt(sub(1, power(beta)))), sub(1, power(alpha))), rate);
  const next = sub(x, div(mul(corrected, first), add(sqrt(second), call.number("epsilon", 1e-6))));
  return [mul(1 - call.number("norm_coefficient_post", 0), next), first, second];
});

export const OPTIMIZATION: Operators = {
  "ai.onnx.preview.training.Adagrad": adagrad,
  "ai.onnx.preview.training.Adam": adam,
  "ai.onnx.preview.training.Momentum": momentum,
};
