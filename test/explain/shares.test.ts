/** What each row of a batch adds to a weight's gradient: the gradient of that row alone, divided by the number of rows. */
import { conv2d, dense, flatten, sequential } from "chainrule";
import { explain } from "chainrule/explain";
import { expect, test } from "vitest";

const model = sequential({ input: [4, 4, 1], seed: 3 }, [conv2d(2, 3, { activation: "tanh" }), flatten(), dense(3)]);
const rows = 5;
const x = Float32Array.from({ length: rows * 16 }, (_, i) => Math.sin(3 * i));
const y = Int32Array.from([0, 2, 1, 1, 0]);
const options = { loss: "crossEntropy" } as const;

test("shares are the gradients of the rows alone, for a tap of a kernel and for a dense weight", async () => {
  const batch = await explain(model, { x, y }, options);
  for (const [name, index] of [
    ["conv2d_1.kernel", [1, 2, 0, 1]],
    ["dense_1.kernel", [3, 2]],
  ] as const) {
    const { chain } = batch.weight(name, index, { terms: 2 });
    expect(chain.shares).toHaveLength(rows);
    for (let row = 0; row < rows; row++) {
      const alone = await explain(model, { x: x.slice(row * 16, row * 16 + 16), y: y.slice(row, row + 1) }, options);
      expect(chain.shares![row]).toBeCloseTo(alone.weight(name, index).chain.gradient / rows, 12);
    }
    expect(chain.shares!.reduce((a, b) => a + b, 0)).toBeCloseTo(chain.gradient, 12);
  }
});

test("a walk goes through all ops that compute something: forward, backward, update, operands first", async () => {
  const step = await explain(model, { x, y }, options);
  const walk = step.walk();
  const order = ["forward", "backward", "update"];
  const phases = walk.map(({ phase }) => order.indexOf(phase));
  expect(phases).toEqual([...phases].sort((a, b) => a - b));
  const place = new Map(walk.map(({ id }, i) => [id, i]));
  for (const { id, inputs } of walk)
    for (const input of inputs) if (place.has(input)) expect(place.get(input)!).toBeLessThan(place.get(id)!);
});
