import { dense, sequential } from "chainrule";
import { collect } from "chainrule/data";
import { expect, test } from "vitest";

test("rows of a generator, sync or not, become what fit takes", async () => {
  function* rows() {
    for (let i = 0; i < 3000; i++) yield { x: [i, -i], y: i % 2 };
  }
  const data = await collect(rows());
  expect(data.count).toBe(3000);
  expect([...data.x.subarray(4, 8)]).toEqual([2, -2, 3, -3]);
  expect([...data.y.subarray(0, 4)]).toEqual([0, 1, 0, 1]);
  async function* later() {
    for (const row of rows()) yield { ...row, x: row.x.map((v) => v / 3000) };
  }
  const [epoch] = await sequential({ input: [2] }, [dense(2)]).fit(await collect(later()), { loss: "crossEntropy" });
  expect(epoch.loss).toBeGreaterThan(0);
});

test("a row of another length is named", async () => {
  await expect(
    collect([
      { x: [1, 2], y: 0 },
      { x: [1], y: 0 },
    ]),
  ).rejects.toThrow(/row 2 has 1 features.*2 and 1 were wanted/);
  await expect(collect(function* () {} as never)).rejects.toThrow(/Call the generator function first/);
});
