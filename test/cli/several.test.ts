/** The command and networks with several inputs and outputs: shown, exported, imported; where data of one form are read, refused by name. */
import { dense, functional, merge } from "chainrule";
import { expect, test } from "vitest";
import { Scratch } from "./command.ts";

test("summary shows inputs and outputs, export and import keep them, what reads data says what there is", async () => {
  const scratch = new Scratch();
  const model = functional({ input: { size: [2], tags: [3] }, seed: 1 }, ({ size, tags }) => {
    const h = merge("concat", size, tags).to(dense(4, { activation: "relu" }));
    return { label: h.to(dense(3)), age: h.to(dense(1)) };
  });
  scratch.write("two.safetensors", model.toBytes());

  const shown = await scratch.run(["summary", "two.safetensors"]);
  expect([shown.code, shown.stderr]).toEqual([0, ""]);
  expect(shown.stdout).toMatch(/^takes +size \[2\], tags \[3\]$/m);
  expect(shown.stdout).toMatch(/^gives +label \[3\], age \[1\]$/m);
  const [json] = await scratch.json(["summary", "two.safetensors"]);
  expect([json.inputs, json.outputs]).toEqual([
    [
      { name: "size", shape: [2] },
      { name: "tags", shape: [3] },
    ],
    [
      { name: "label", shape: [3] },
      { name: "age", shape: [1] },
    ],
  ]);

  const exported = await scratch.run(["export", "two.safetensors", "two.onnx"]);
  expect([exported.code, exported.stdout]).toEqual([0, expect.stringMatching(/size \[batch, 2\], tags \[batch, 3\]/)]);
  const imported = await scratch.run(["import", "two.onnx", "again.safetensors"]);
  expect([imported.code, imported.stderr, imported.stdout]).toEqual([0, "", expect.stringMatching(/label \[3\], age/)]);

  scratch.write("rows.csv", "a,b\n1,2\n");
  for (const command of ["predict", "evaluate", "explain", "gradcheck"]) {
    const refused = await scratch.run([command, "two.safetensors", "rows.csv"]);
    expect([command, refused.code]).toEqual([command, 2]);
    expect(refused.stderr).toMatch(/size \[2\], tags \[3\] → label \[3\], age \[1\].*load\("two\.safetensors"\)/s);
  }
  const module = await scratch.run(["export", "two.safetensors", "two.js"]);
  expect([module.code, module.stderr]).toEqual([2, expect.stringMatching(/one input without a name/)]);
});
