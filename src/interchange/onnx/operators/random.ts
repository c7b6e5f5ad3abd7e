/** Operators that give random numbers: our own in each step of training. At inference they have no place, and say so. */
import type { Node } from "../../../graph/node.ts";
import type { Shape } from "../../../graph/shape.ts";
import { add, cos, less, log, maximum, mul, sqrt } from "../../../ops/index.ts";
import type { Call, Operator, Operators } from "../call.ts";
import type { ElementType } from "../format.ts";
import { Value } from "../value.ts";

function uniform(call: Call, shape: Shape): Node {
  if (typeof call.mode === "object") return call.mode.uniform(shape);
  return call.fail(
    "it gives random numbers, which are drawn in training only; at inference a model gives the same twice",
  );
}

/** Two uniform numbers make a normal one (Box and Muller, 1958). */
function normal(call: Call, shape: Shape): Node {
  const radius = sqrt(mul(-2, log(maximum(uniform(call, shape), 2 ** -25))));
  return mul(radius, cos(mul(2 * Math.PI, uniform(call, shape))));
}

const typeOf = (call: Call, otherwise: ElementType): ElementType =>
  call.has("dtype") ? call.type(call.number("dtype", 1)) : otherwise;

const spread = (draw: (call: Call, shape: Shape) => Node): Operator => {
  return (call) => {
    const like = call.optional(0);
    return new Value(draw(call, like?.shape ?? call.numbers("shape") ?? []), typeOf(call, like?.type ?? "float"));
  };
};

const normals = spread((call, shape) => add(call.number("mean", 0), mul(call.number("scale", 1), normal(call, shape))));
const uniforms = spread((call, shape) => {
  const low = call.number("low", 0);
  return add(low, mul(call.number("high", 1) - low, uniform(call, shape)));
});

export const RANDOM: Operators = {
  Bernoulli: (call) => {
    const p = call.value(0);
    return new Value(less(uniform(call, p.shape), p.node), typeOf(call, p.type));
  },
  RandomNormal: normals,
  RandomNormalLike: normals,
  RandomUniform: uniforms,
  RandomUniformLike: uniforms,
};
