/**
 * A layer and a loss of one's own: distances to learnt centres, a = exp(−‖x − c‖²), as in networks of radial basis
 * functions; and the logarithm of the hyperbolic cosine as a loss, which is square near 0 and straight far away.
 */
import {
  abs,
  adam,
  add,
  defineLayer,
  defineLoss,
  dense,
  exp,
  gradcheck,
  log,
  mean,
  mul,
  neg,
  ops,
  sequential,
  sub,
  sum,
} from "chainrule";
import { curve } from "chainrule/data";

const radial = defineLayer<{ readonly units: number }>("radial", {
  parameters: ({ units }, [features]) => [
    {
      name: "centres",
      shape: [units, features],
      init: (shape, random) => Float32Array.from({ length: shape[0] * shape[1] }, () => 3 * random.normal()),
    },
  ],
  apply: (_, { x, parameter }) => {
    const [batch, features] = x.shape;
    const away = sub(ops.reshape(x, [batch, 1, features]), parameter("centres")); // [B, 1, I] − [O, I] = [B, O, I]
    return exp(neg(sum(mul(away, away), 2))); // [B, O]
  },
});

// ln cosh d = |d| + ln(1 + e^(−2|d|)) − ln 2, which does not overflow
defineLoss("logCosh", {
  target: "values",
  perSample: (y, t) => {
    const d = abs(sub(y, t)); // [B, O]
    return mean(sub(add(d, log(add(1, exp(mul(-2, d))))), Math.LN2), 1);
  },
});

const data = curve({ count: 200, seed: 1 });
export const model = sequential({ input: [1], seed: 1 }, [radial({ units: 12 }), dense(1)]);
await model.fit(data, { loss: "logCosh", optimizer: adam({ learningRate: 0.02 }), epochs: 100 });

export const report = await gradcheck(model, curve({ count: 8 }), { loss: "logCosh" });
export const { r2 } = await model.evaluate(data, { metrics: ["r2"] });
console.log(`${report}`);
console.log(`R² ${r2.toFixed(3)}`);
