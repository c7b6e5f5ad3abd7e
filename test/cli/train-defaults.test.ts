/** What `chainrule train` chooses for a table: as good as least squares where the truth is linear, and not only there. */
import { describe, expect, test } from "vitest";
import { RandomStream } from "../../src/random.ts";
import { Scratch } from "./command.ts";

interface Event {
  readonly event: string;
  readonly [key: string]: unknown;
}

const NOISE = 1.5;
/** y = x₁ − 2x₂ + x₃ and normal noise, which explains 6 / (6 + 2.25) of y's variance at best. */
function noisyLine(rows: number, name: string): string {
  const random = new RandomStream(3, name);
  const lines = Array.from({ length: rows }, () => {
    const x = Array.from({ length: 6 }, () => random.normal());
    return [...x, x[0] - 2 * x[1] + x[2] + NOISE * random.normal()].join(",");
  });
  return `a,b,c,d,e,f,y\n${lines.join("\n")}\n`;
}

const find = (events: readonly Event[], name: string): Event => events.find(({ event }) => event === name)!;

describe.concurrent("weight decay", () => {
  test("a noisy line: much decay, and almost the R² that there is", async () => {
    const scratch = new Scratch();
    scratch.write("line.csv", noisyLine(120, "train"));
    scratch.write("more.csv", noisyLine(2000, "test"));
    const events = (await scratch.json(["train", "line.csv", "--target", "y", "--test", "more.csv"])) as Event[];
    expect(find(events, "start").optimizer).toMatchObject({ name: "adamw", weightDecay: 1.8 }); // 20 / √120
    const { r2 } = find(events, "done").test as { r2: number };
    expect(r2).toBeGreaterThan(6 / (6 + NOISE ** 2) - 0.06);
    expect(events.filter(({ kind }) => kind === "overfitting")).toEqual([]);
  });

  test("spirals without noise: little decay, and no row wrong in twenty", async () => {
    const events = (await new Scratch().json(["train", "spirals"])) as Event[];
    expect(find(events, "start").optimizer).toMatchObject({ weightDecay: 0.065 }); // 1 / √240
    expect((find(events, "done").test as { accuracy: number }).accuracy).toBeGreaterThan(0.95);
  });

  test("is said, with the losses it was chosen by; an optimiser of one's own is left alone", async () => {
    const scratch = new Scratch();
    const { stderr } = await scratch.run(["train", "iris", "--epochs", "3"]);
    expect(stderr).toMatch(/note +weight decay [\d.]+,\s+since the loss on held-out training rows was/);
    const own = await scratch.run(["train", "iris", "--epochs", "3", "--optimizer", "adam"]);
    expect(own.stderr).not.toContain("weight decay");
  });

  test("few rows are not tried on", async () => {
    const { stderr } = await new Scratch().run(["train", "xor"]);
    expect(stderr).not.toContain("held-out");
    expect(stderr).toContain("adamw at 0.01 with weight decay 2.5"); // 5 / √4
  });
});

test("a network that knows its rows by heart is told apart, with what to try", async () => {
  const scratch = new Scratch();
  scratch.write("line.csv", noisyLine(60, "train"));
  const args = ["train", "line.csv", "--target", "y", "--optimizer", "adam", "--epochs", "500"];
  const events = (await scratch.json(args)) as Event[];
  expect(events.filter(({ event }) => event === "warning")).toMatchObject([]);
  const wide = (await scratch.json([...args, "--test", "0.5"])) as Event[];
  const { message } = wide.find(({ kind }) => kind === "overfitting")!;
  expect(message).toMatch(/R² is 1\.00 on them and -?\d\.\d+ on the test rows.*adamw weightDecay=0\.1/);
});
