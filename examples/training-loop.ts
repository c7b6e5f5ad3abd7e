/**
 * A training loop by hand, without layers and models: a line through four points by gradient descent on
 * L = mean((xw + b − t)²). The points lie on t = 2x + 1, so that is where it ends.
 */
import { add, mean, mul, sub, type Tensor, tensor, valueAndGrad } from "chainrule";

const x = tensor([-1, 0, 1, 2]);
const t = tensor([-1, 1, 3, 5]);
const rate = 0.1;

// Traced and compiled once, at the first call.
const lossOf = valueAndGrad(
  (w, b, x, t) => {
    const error = sub(add(mul(x, w), b), t);
    return mean(mul(error, error));
  },
  { wrt: [0, 1] },
);

const step = (w: Tensor, dw: Tensor): Tensor => tensor(w.data[0] - rate * dw.data[0]);

let [w, b] = [tensor(0), tensor(0)];
export const losses: number[] = [];
for (let i = 0; i < 200; i++) {
  const { value, gradients } = await lossOf(w, b, x, t);
  losses.push(value);
  // Both from gradients taken at the same weights.
  [w, b] = [step(w, gradients[0]), step(b, gradients[1])];
}

export const line = { w: w.data[0], b: b.data[0] };
console.log(`t = ${line.w.toFixed(4)} x + ${line.b.toFixed(4)}, loss ${losses[0]} → ${losses.at(-1)}`);
