/** Functions of arrays: values by hand, and types that know how many arrays come back. */
import {
  add,
  compile,
  grad,
  gradientsOf,
  input,
  mul,
  type Node,
  sum,
  type Tensor,
  tensor,
  valueAndGrad,
} from "chainrule";
import { expect, test } from "vitest";

const [a, b] = [tensor([1, 2]), tensor([3, 5])];
const values = (tensors: readonly Tensor[]) => tensors.map(({ data }) => [...data]);

test("grad gives one gradient for each argument, or for those asked for", async () => {
  // Σ a b: ∂/∂a = b, ∂/∂b = a. The annotations are part of the test: tuples come back, for tsc to see.
  const one: [Tensor] = await grad((x) => sum(mul(x, x)))(a);
  expect(values(one)).toEqual([[2, 4]]);
  const both: [Tensor, Tensor] = await grad((x, w) => sum(mul(x, w)))(a, b);
  expect(values(both)).toEqual([
    [3, 5],
    [1, 2],
  ]);
  const second: [Tensor] = await grad((x, w) => sum(mul(x, w)), { wrt: [1] })(a, b);
  expect(values(second)).toEqual([[1, 2]]);
  const { value, gradients }: { value: number; gradients: [Tensor, Tensor] } = await valueAndGrad((x, w) =>
    sum(mul(x, w)),
  )(a, b);
  expect([value, ...values(gradients)]).toEqual([13, [3, 5], [1, 2]]);
});

test("compile gives as many arrays as the function gives nodes", async () => {
  const pair: [Tensor, Tensor] = await compile((x, y) => [add(x, y), mul(x, y)])(a, b);
  expect(values(pair)).toEqual([
    [4, 7],
    [3, 10],
  ]);
  const single: Tensor = await compile((x) => mul(x, x))(b);
  expect([...single.data]).toEqual([9, 25]);
  const x = input("x", []);
  const gradients: [Node] = gradientsOf(mul(x, x), [x]);
  expect(gradients[0].shape).toEqual([]);
});

test("too few arguments are refused, by the types and when called", async () => {
  // @ts-expect-error A function of two arguments is called with two.
  await expect(grad((x, w) => sum(mul(x, w)), { wrt: [1] })(a)).rejects.toThrow();
  await expect(grad((x) => sum(x), { wrt: [1] })(a)).rejects.toThrow(/wrt names argument 1.*called with 1/);
});
