/** `chainrule train`: what it chooses, shows, saves; how it stops and goes on. Its failures are in failures.test.ts. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { skipWhere } from "../support/skip.ts";
import { barPicture, fruit, png, prices, Scratch, writeIdx } from "./command.ts";

const bytes = (scratch: Scratch, name: string) => readFileSync(join(scratch.path, name)).toString("base64");

describe.concurrent("data", () => {
  test("a table with classes: chooses, trains, reports and saves", async () => {
    const scratch = new Scratch();
    scratch.write("fruit.csv", fruit(200));
    const { code, stdout, stderr } = await scratch.run(["train", "fruit.csv", "--target", "state", "--epochs", "60"]);
    expect(code).toBe(0);
    expect(stderr).toContain("160 rows of 4 features");
    expect(stderr).toContain("2 classes of state: raw, ripe");
    expect(stderr).toContain("binaryCrossEntropy");
    expect(stderr).toMatch(/^epoch {2}1\/60 {2}loss +\d/m);
    expect(stderr).toMatch(/^epoch 60\/60 .*accuracy (9\d|100)\.\d\d %.*\/s$/m);
    expect(stdout).toMatch(/accuracy {2}(9\d|100)\.\d\d %/);
    expect(stdout).toContain("Confusion matrix");
    expect(stdout).toContain("Saved  fruit.safetensors");
    expect(stdout).toContain("predict fruit.safetensors fruit.csv");
    expect(`${stdout}${stderr}`).not.toContain("\u001b");
    expect(Math.max(...`${stdout}${stderr}`.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(scratch.list()).toEqual(["fruit.csv", "fruit.safetensors"]);
  });

  test("a table with numbers: the output is in the target's own units", async () => {
    const scratch = new Scratch();
    scratch.write("prices.csv", prices(300));
    const events = await scratch.json(["train", "prices.csv", "--target", "price", "--validation", "0.1"]);
    const epochs = events.filter(({ event }) => event === "epoch");
    expect(events[0]).toMatchObject({ event: "start", task: "regression", loss: "meanSquaredError", rows: 216 });
    expect(epochs[0]).toMatchObject({ epoch: 1, validation: { loss: expect.any(Number) } });
    const { test: scores } = events.at(-1) as { test: { r2: number; meanAbsoluteError: number } };
    expect(scores.r2).toBeGreaterThan(0.95);
    expect(scores.meanAbsoluteError).toBeLessThan(10);
  });

  test("IDX files in a directory, and a network of one's own", async () => {
    const scratch = new Scratch();
    writeIdx(scratch, "bars");
    const events = await scratch.json(["train", "bars", "--layers", "dense 32 relu, dropout 0.1", "--epochs", "20"]);
    expect(events[0]).toMatchObject({
      inputShape: [28, 28, 1],
      layers: "rescale 1/255, flatten, dense 32 relu, dropout 0.1, dense 10",
      loss: "crossEntropy",
      testRows: 100,
    });
    expect(events.at(-1)).toMatchObject({
      event: "done",
      test: { accuracy: 1 },
      model: "bars.safetensors",
      epochs: 20,
    });
  });

  test("a folder of class folders", async () => {
    const scratch = new Scratch();
    for (const label of [0, 1, 2])
      for (let i = 0; i < 8; i++) scratch.write(`shapes/kind ${label}/${i}.png`, png(barPicture(3 * label, i), 28, 28));
    const { stdout, code } = await scratch.run(["train", "shapes", "--image-size", "14x14", "--test", "0"]);
    expect(code).toBe(0);
    expect(stdout).toContain("On the training data  24 rows");
    expect(stdout).toContain("kind 2");
  });

  test("--test takes another file, read as the training data were", async () => {
    const scratch = new Scratch();
    scratch.write("fruit.csv", fruit(100));
    scratch.write("more.csv", fruit(40));
    const args = ["train", "fruit.csv", "--target", "state", "--epochs", "3"];
    const events = await scratch.json([...args, "--test", "more.csv"]);
    expect(events[0]).toMatchObject({ rows: 100, testRows: 40 });
  });
});

describe.concurrent("output", () => {
  test("--json: one object per line on stdout, and nothing else; --quiet: nothing on stderr", async () => {
    const scratch = new Scratch();
    const { stdout, stderr } = await scratch.run(["train", "iris", "--epochs", "3", "--json", "--quiet"]);
    expect(stderr).toBe("");
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.map(({ event }) => event)).toEqual(["start", "epoch", "epoch", "epoch", "done"]);
    expect(events[1]).toMatchObject({
      epoch: 1,
      loss: expect.any(Number),
      accuracy: expect.any(Number),
      samplesPerSecond: expect.any(Number),
    });
    const { test: scores } = events[4] as { test: { confusion: number[][] } };
    expect(scores.confusion.flat().reduce((a, b) => a + b)).toBe(30);
  });

  test("it runs from the source too, and proposes commands that work there", async () => {
    const scratch = new Scratch();
    const { code, stdout } = await scratch.run(["train", "xor", "--epochs", "2"], { fromSource: true });
    expect(code).toBe(0);
    expect(stdout).toContain("npm run chainrule -- predict xor.safetensors xor --sample 1");
  });

  test("--quiet alone prints nothing", async () => {
    const scratch = new Scratch();
    expect(await scratch.run(["train", "xor", "--epochs", "2", "--quiet"])).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });
    expect(scratch.list()).toEqual(["xor.safetensors"]);
  });

  test("the same seed gives the same bytes whatever the threads, another seed others", async () => {
    const scratch = new Scratch();
    const train = (seed: string, threads: string, out: string) =>
      scratch.run(["train", "iris", "--epochs", "5", "--seed", seed, "--threads", threads, "--out", out, "--quiet"]);
    await Promise.all([
      train("1", "1", "a.safetensors"),
      train("1", "2", "b.safetensors"),
      train("2", "1", "c.safetensors"),
    ]);
    expect(bytes(scratch, "a.safetensors")).toBe(bytes(scratch, "b.safetensors"));
    expect(bytes(scratch, "a.safetensors")).not.toBe(bytes(scratch, "c.safetensors"));
  });
});

describe("stopping and going on", () => {
  const args = ["train", "spirals", "--epochs", "4000", "--layers", "dense 16 relu, dropout 0.1", "--out"];

  test("Ctrl-C and kill −9 leave a checkpoint, and the run that goes on ends with the same bytes", async () => {
    const scratch = new Scratch();
    const undisturbed = scratch.run([...args, "whole.safetensors", "--quiet"]);
    const stopped = await scratch.run([...args, "part.safetensors"], {
      watch: (stderr, child) => {
        if (/epoch +\d{2,}\/4000/.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGINT");
      },
    });
    expect(stopped.code).toBe(130);
    expect(stopped.stdout).toBe("");
    expect(stopped.stderr).toMatch(/Interrupted\. .*\n.*train --resume part\.checkpoint\.safetensors/);
    expect(scratch.list()).toContain("part.checkpoint.safetensors");
    expect(scratch.list()).not.toContain("part.safetensors");

    // A checkpoint of the end of an epoch is written once a second; kill −9 leaves the last of them.
    const killed = await scratch.run(["train", "--resume", "part.checkpoint.safetensors"], {
      watch: (_, child) => {
        if (existsSync(join(scratch.path, "part.checkpoint.safetensors.previous"))) child.kill("SIGKILL");
      },
    });
    expect(killed.code).toBe(null);

    const resumed = await scratch.run(["train", "--resume", "part.checkpoint.safetensors"]);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toContain("resumes");
    expect((await undisturbed).code).toBe(0);
    expect(bytes(scratch, "part.safetensors")).toBe(bytes(scratch, "whole.safetensors"));
    expect(scratch.list()).toEqual(["part.safetensors", "whole.safetensors"]);
  });

  test("a resumed run says which options may change, and why others may not", async () => {
    const scratch = new Scratch();
    const begin = (out: string, ...more: string[]) =>
      scratch.run(["train", "iris", "--epochs", "100000", "--out", out, ...more], {
        watch: (stderr, child) => {
          if (/^epoch/m.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGTERM");
        },
      });
    await begin("i.safetensors", "--early-stopping", "90000");
    const checkpoint = "i.checkpoint.safetensors";
    const refused = async (args: readonly string[], message: RegExp) => {
      const outcome = await scratch.run(["train", "--resume", ...args]);
      expect(outcome.stderr).toMatch(message);
      expect(outcome).toMatchObject({ code: 2, stdout: "" });
    };
    await refused([checkpoint, "--learning-rate", "1"], /--learning-rate cannot change .*it was not given.* --epochs/);
    await refused([checkpoint, "--early-stopping", "3"], /--early-stopping cannot change .*it was 90000/);
    await refused([checkpoint, "--validation", "0.1"], /--validation cannot change/);
    await refused([checkpoint, "--epochs", "200000"], /cosine .* epoch 100000.*--schedule constant or plateau/);
    await refused([checkpoint, "moons"], /name no other/);
    // What stays as it was may be said again.
    const again = await scratch.run(
      ["train", "--resume", checkpoint, "--early-stopping", "90000", "--epochs", "100000"],
      {
        watch: (stderr, child) =>
          void (/^epoch/m.test(stderr) && !stderr.includes("Stopping") && child.kill("SIGTERM")),
      },
    );
    expect(again.code).toBe(130);

    await begin("c.safetensors", "--schedule", "constant");
    const constant = "c.checkpoint.safetensors";
    const { epoch: done } = epochOf(join(scratch.path, constant));
    await refused([constant, "--epochs", "1"], /--epochs 1: .* done already/);
    const shorter = await scratch.run(["train", "--resume", constant, "--epochs", String(done + 3)]);
    expect(shorter).toMatchObject({ code: 0 });
    expect(shorter.stderr).toMatch(new RegExp(`^epoch ${done + 3}/${done + 3} `, "m"));
  });

  test("a history that is first asked for when a run goes on begins there, which is said", async () => {
    const scratch = new Scratch();
    const args = ["train", "iris", "--epochs", "100000", "--schedule", "constant", "--out", "i.safetensors"];
    await scratch.run(args, {
      watch: (stderr, child) => {
        if (/^epoch +9\//m.test(stderr) && !stderr.includes("Stopping")) child.kill("SIGINT");
      },
    });
    const checkpoint = "i.checkpoint.safetensors";
    const { epoch: done } = epochOf(join(scratch.path, checkpoint));
    const end = String(done + 2);
    const { stderr } = await scratch.run(["train", "--resume", checkpoint, "--epochs", end, "--history", "h.json"]);
    expect(stderr).toContain(`note: h.json begins with epoch ${done + 1}, since the run began without --history.`);
    const history = JSON.parse(readFileSync(join(scratch.path, "h.json"), "utf8")) as { epoch: number }[];
    expect(history.map(({ epoch }) => epoch)).toEqual([done + 1, done + 2]);
  });

  // A pipe that nobody reads stands for a disk that hangs: the checkpoint is never written.
  test("the second Ctrl-C quits at once, whatever hangs", async (context) => {
    skipWhere(process.platform === "win32", "Windows has no named pipes among its files", context);
    const scratch = new Scratch();
    execFileSync("mkfifo", [join(scratch.path, "s.checkpoint.safetensors")]);
    let [first, second] = [Number.NaN, Number.NaN];
    const { code, signal, stderr } = await scratch.run([...args, "s.safetensors"], {
      watch: (text, child) => {
        if (Number.isNaN(first) && /^epoch +2\//m.test(text)) {
          first = performance.now();
          child.kill("SIGINT");
        }
        if (!text.includes("Once more, and it quits at once.") || !Number.isNaN(second)) return;
        second = 0;
        // Sooner, it would count as the same one.
        setTimeout(() => {
          second = performance.now();
          child.kill("SIGINT");
        }, 400);
      },
    });
    // A shell shows 130 for a process that ended by this signal.
    expect([code, signal]).toEqual([null, "SIGINT"]);
    expect(performance.now() - second).toBeLessThan(5000);
    expect(stderr).not.toContain("Interrupted.");
    expect(scratch.list()).toEqual(["s.checkpoint.safetensors"]);
  });

  test("the same Ctrl-C, passed on by a parent, counts once", async () => {
    const scratch = new Scratch();
    const { code, stderr } = await scratch.run([...args, "s.safetensors"], {
      watch: (text, child) => {
        if (!/^epoch +2\//m.test(text) || text.includes("Stopping")) return;
        child.kill("SIGINT");
        child.kill("SIGINT");
      },
    });
    expect(code).toBe(130);
    expect(stderr).toContain("Interrupted.");
  });
});

/** The position in a checkpoint, read from its header. */
function epochOf(path: string): { epoch: number } {
  const file = readFileSync(path);
  const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))).toString()) as {
    __metadata__: { chainrule: string };
  };
  const { details } = JSON.parse(header.__metadata__.chainrule) as {
    details: { training: { position: { epoch: number } } };
  };
  return details.training.position;
}

describe.concurrent("what is said at the end", () => {
  test("commands to try next work as they stand, and keep how the table was read", async () => {
    const scratch = new Scratch();
    scratch.write("my fruit.csv", fruit(60));
    const run = ["train", "my fruit.csv", "--target", "state", "--ignore", "colour", "--task", "classification"];
    const { stdout } = await scratch.run([...run, "--epochs", "2", "--out", "m.safetensors"]);
    const [, block] = stdout.split("Try next\n");
    const commands = block
      .trim()
      .replaceAll(/\\\n */g, "")
      .split("\n")
      .map((line) => line.trim());
    expect(commands.map((line) => line.replace(/^.*chainrule (\w+).*$/, "$1"))).toEqual([
      "evaluate",
      "predict",
      "explain",
      "gradcheck",
      "summary",
      "train",
    ]);
    expect(commands.at(-1)).toContain("--target state --task classification --ignore colour");
    for (const command of commands) {
      const words = [...command.replace(/^.*?chainrule /, "").matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)];
      const outcome = await scratch.run(words.map(([, a, b, c]) => a ?? b ?? c));
      expect({ command, ...outcome }).toMatchObject({ code: 0 });
      const lines = (outcome.stdout + outcome.stderr).split("\n");
      expect(lines.filter((line) => line.length > 80)).toEqual([]);
    }
  });

  test("a model that is there already is said to be replaced", async () => {
    const scratch = new Scratch();
    const train = ["train", "xor", "--epochs", "2"];
    expect((await scratch.run(train)).stderr).not.toContain("there already");
    expect((await scratch.run(train)).stderr).toContain("note        xor.safetensors is there already");
  });

  test("epochs stand in columns", async () => {
    const scratch = new Scratch();
    scratch.write("prices.csv", prices(100));
    const { stderr } = await scratch.run(["train", "prices.csv", "--target", "price", "--epochs", "30"]);
    const epochs = stderr.split("\n").filter((line) => line.startsWith("epoch"));
    expect(epochs).toHaveLength(30);
    expect(new Set(epochs.map((line) => line.indexOf("MAE")))).toHaveLength(1);
    expect(new Set(epochs.map((line) => line.length))).toHaveLength(1);
  });

  test("--profile: a table of the plan's steps in 80 columns, and the same model", async () => {
    const scratch = new Scratch();
    const train = ["train", "iris", "--epochs", "4", "--layers", "dense 64 relu, dense 48 tanh", "--class-weights"];
    await scratch.run([...train, "balanced", "--out", "a.safetensors", "--quiet"]);
    const { stdout, code } = await scratch.run([...train, "balanced", "--out", "b.safetensors", "--profile"]);
    expect(code).toBe(0);
    expect(bytes(scratch, "b.safetensors")).toBe(bytes(scratch, "a.safetensors"));
    const [, table] = stdout.split(/^Profile .*$/m);
    expect(table).toMatch(/# phase +result +ops +calls total ms +share GFLOP\/s +GB\/s/);
    // 120 rows in batches of 16: 7 whole ones and one of 8, four times.
    expect(table).toMatch(/^ *\d+ forward +dense_1\.a +matmul\+add\+relu +28 +[\d.e-]+ +\d+\.\d% +[\d.,]+ +[\d.]+$/m);
    expect(table).toMatch(/update +dense_2\.kernel/);
    expect(table).toMatch(/^ +all +28 .* 100\.0%/m);
    expect(table).toContain("on one thread");
    expect(table).toContain("The last batch of an epoch, of 8 rows");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);

    const event = (await scratch.json([...train, "balanced", "--profile"])).find(
      ({ event }) => event === "profile",
    ) as {
      steps: { result: string; flops: number; bytes: number; milliseconds: number }[];
    };
    const first = event.steps.find(({ result }) => result === "dense_1.a")!;
    // Product of [16, 4] and [4, 64], bias and relu: 2 · 16 · 4 · 64 + 2 · 16 · 64; x, kernel, bias, a in floats.
    expect(first).toMatchObject({ flops: 10_240, bytes: 4 * (16 * 4 + 4 * 64 + 64 + 16 * 64) });
    expect(first.milliseconds).toBeGreaterThan(0);

    const refused = await scratch.run([...train, "balanced", "--profile", "--backend", "reference"]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("--profile is for the wasm backend") });
  });
});

describe.concurrent("help", () => {
  test.each(["", "train", "evaluate", "predict", "summary", "explain", "gradcheck"])(
    "%s fits in 80 columns",
    async (name) => {
      const { stdout, code } = await new Scratch().run([...(name ? [name] : []), "--help"]);
      expect(code).toBe(0);
      expect(stdout.split("\n").filter((line) => [...line].length > 80)).toEqual([]);
      if (name === "")
        for (const exit of ["0 ", "1 ", "2 ", "130 "]) expect(stdout).toMatch(new RegExp(`^ +${exit} `, "m"));
    },
  );
});
