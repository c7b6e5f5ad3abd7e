/** `chainrule train --model FILE`: the network from a module of the user's, its mistakes, and going on without it. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { prices, Scratch } from "./command.ts";

const NET = `import { dense, functional, merge } from "chainrule";
export default ({ inputShape, classes, outputs, seed, backend, enter }) =>
  functional({ input: inputShape, seed, backend }, (x) => {
    const h = enter.reduce((flow, layer) => flow.to(layer), x).to(dense(16, { activation: "tanh" }));
    return merge("add", h, h.to(dense(16, { activation: "relu" }))).to(dense(outputs));
  });
`;

describe.concurrent("a model file", () => {
  test("builds the network, with this copy of chainrule", async () => {
    const scratch = new Scratch();
    scratch.write("net.mjs", NET);
    const events = await scratch.json(["train", "iris", "--model", "net.mjs", "--epochs", "30"]);
    expect(events[0]).toMatchObject({ loss: "crossEntropy", parameters: 411 });
    expect((events.at(-1) as { test: { accuracy: number } }).test.accuracy).toBeGreaterThan(0.85);
    const { code } = await scratch.run(["evaluate", "iris.safetensors", "iris"]);
    expect(code).toBe(0);
  });

  test("in TypeScript, where tsx is loaded", async () => {
    const scratch = new Scratch();
    scratch.write("net.ts", NET.replace("(x) =>", "(x: any) =>"));
    const { code, stderr } = await scratch.run(["train", "xor", "--model", "net.ts", "--epochs", "2"], {
      fromSource: true,
    });
    expect(stderr).toContain("binaryCrossEntropy");
    expect(code).toBe(0);
  });

  test("leave brings a regression into the target's units", async () => {
    const scratch = new Scratch();
    scratch.write("prices.csv", prices(200));
    scratch.write(
      "net.mjs",
      `import { dense, sequential } from "chainrule";
       export default ({ inputShape: input, outputs, seed, backend, enter, leave }) =>
         sequential({ input, seed, backend }, [...enter, dense(16, { activation: "tanh" }), dense(outputs), ...leave]);`,
    );
    const events = await scratch.json(["train", "prices.csv", "--target", "price", "--model", "net.mjs"]);
    expect((events.at(-1) as { test: { r2: number } }).test.r2).toBeGreaterThan(0.95);
  });

  test("two outputs for two classes take crossEntropy; a seed that is not passed on is said", async () => {
    const scratch = new Scratch();
    scratch.write(
      "net.mjs",
      `import { dense, sequential } from "chainrule";
       export default ({ inputShape }) => sequential({ input: inputShape }, [dense(8), dense(2)]);`,
    );
    const { code, stderr } = await scratch.run([
      "train",
      "moons",
      "--model",
      "net.mjs",
      "--epochs",
      "2",
      "--seed",
      "3",
    ]);
    expect(code).toBe(0);
    expect(stderr).toContain("crossEntropy, adam");
    expect(stderr).toContain("the model has the seed 0, not 3");
  });

  test("a run goes on to the same bytes without the file, which a checkpoint does not run", async () => {
    const scratch = new Scratch();
    scratch.write("net.mjs", NET);
    const args = ["train", "spirals", "--model", "net.mjs", "--epochs", "2000", "--out"];
    const whole = scratch.run([...args, "whole.safetensors", "--quiet"]);
    const stopped = await scratch.run([...args, "part.safetensors"], {
      watch: (stderr, child) => {
        if (/epoch +\d{2,}\/2000/.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGINT");
      },
    });
    expect(stopped.code).toBe(130);
    expect((await whole).code).toBe(0);
    rmSync(join(scratch.path, "net.mjs"));
    const resumed = await scratch.run(["train", "--resume", "part.checkpoint.safetensors"]);
    expect(resumed.stderr).toContain("resumes");
    expect(resumed.code).toBe(0);
    const bytes = (name: string) => readFileSync(join(scratch.path, name)).toString("base64");
    expect(bytes("part.safetensors")).toBe(bytes("whole.safetensors"));
  });
});

describe("layers of one's own", () => {
  test("a run that has them goes on when the file that defines them is given again", async () => {
    const scratch = new Scratch();
    scratch.write(
      "own.mjs",
      `import { defineLayer, dense, mul, sequential } from "chainrule";
       const scale = defineLayer("scale", { apply: ({ by }, { x }) => mul(x, by) });
       export default ({ inputShape: input, outputs, seed, backend }) =>
         sequential({ input, seed, backend }, [dense(8), scale({ by: 2 }), dense(outputs)]);`,
    );
    const args = ["train", "iris", "--model", "own.mjs", "--schedule", "constant", "--epochs", "100000"];
    await scratch.run([...args, "--out", "o.safetensors"], {
      watch: (stderr, child) => {
        if (/epoch +\d{2,}\//.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGINT");
      },
    });
    const resume = ["train", "--resume", "o.checkpoint.safetensors"];
    const without = await scratch.run(resume);
    expect(without.stderr).toContain('no layer called "scale"');
    expect(without.stderr).toContain("give --model FILE beside --resume");
    const done = await scratch.run([...resume, "--model", "own.mjs", "--epochs", "1000"]);
    expect(done.stderr).toContain("resumes");
    expect(done.code).toBe(0);
  });
});

describe.concurrent("a model file's mistakes", () => {
  const ONE = 'import { dense, sequential } from "chainrule";\n';
  test.each([
    ["net.txt", "", 2, /--model net\.txt: a file of \.js/],
    ["net.ts", "export default 1", 1, /does not read TypeScript .*tsx/],
    ["a.mjs", "export const net = 1;", 1, /default export must be a function .* there is none, only net/],
    ["b.mjs", "export default 7;", 1, /it is of type number/],
    ["c.mjs", "export default (", 1, /c\.mjs could not be loaded: SyntaxError/],
    ["d.mjs", "export default () => ({})", 1, /must give a model.*it gave another object/],
    [
      "e.mjs",
      `${ONE}export default () => sequential({ input: [3] }, [dense(3)])`,
      1,
      /takes rows of shape \[3\].*\[4\]/,
    ],
    ["f.mjs", `${ONE}export default () => sequential({ input: [4] }, [dense(5)])`, 1, /gives \[5\].* needs 3 numbers/],
    ["g.mjs", `${ONE}export default () => sequential({ input: [4] }, [dense(0)])`, 1, /its function failed: /],
  ] as const)("%s", async (file, text, code, says) => {
    const scratch = new Scratch();
    scratch.write(file, text);
    const outcome = await scratch.run(["train", "iris", "--model", file, "--epochs", "1"]);
    expect(outcome.stderr.replaceAll("\n", " ")).toMatch(says);
    expect(outcome.code).toBe(code);
    expect(outcome.stdout).toBe("");
    expect(scratch.list()).toEqual([file]);
  });

  test("a file that is not there, and layers beside it", async () => {
    const scratch = new Scratch();
    const absent = await scratch.run(["train", "iris", "--model", "no.mjs"]);
    expect(absent.stderr).toMatch(/no\.mjs: there is no such file/);
    expect(absent.code).toBe(1);
    const both = await scratch.run(["train", "iris", "--model", "no.mjs", "--layers", "dense 3"]);
    expect(both.stderr).toContain("give one of them");
    expect(both.code).toBe(2);
  });
});
