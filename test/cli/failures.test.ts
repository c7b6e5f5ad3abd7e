/**
 * What goes wrong: every failure is one message that says what to do, with its exit code (1 for the work, 2 for the
 * command line), and leaves nothing behind.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { skipWhere } from "../support/skip.ts";
import { fruit, idx, prices, Scratch, writeIdx } from "./command.ts";

const TABLE = ["train", "t.csv", "--target", "y", "--quiet"];

/** A damaged set of IDX files. */
const damagedIdx = (damage: (scratch: Scratch) => void) => (scratch: Scratch) => {
  writeIdx(scratch, "d");
  damage(scratch);
};

const rows = (change: (i: number) => string) => Array.from({ length: 20 }, (_, i) => change(i)).join("\n");

interface Case {
  readonly args: readonly string[];
  readonly prepare?: (scratch: Scratch) => void;
  readonly code: 1 | 2;
  readonly says: RegExp;
}

const table = (text: string) => (scratch: Scratch) => void scratch.write("t.csv", text);

const CASES: Readonly<Record<string, Case>> = {
  "no data": { args: ["train"], code: 2, says: /chainrule train mnist/ },
  "a model in the place of its data": {
    args: [...TABLE, "--out", "./t.csv"],
    prepare: table(`x,y\n${rows((i) => `${i},${i % 2 ? "a" : "b"}`)}`),
    code: 2,
    says: /--out \.\/t\.csv would replace the data/,
  },
  "an unknown command": { args: ["trian"], code: 2, says: /unknown command 'trian'[\s\S]*Did you mean train/ },
  "an unknown option": {
    args: ["train", "iris", "--epoch", "3"],
    code: 2,
    says: /unknown option '--epoch'[\s\S]*--epochs/,
  },
  "a bad value": {
    args: ["train", "iris", "--epochs", "many"],
    code: 2,
    says: /'many' is invalid. Give a whole number/,
  },
  "a bad choice": {
    args: ["train", "iris", "--backend", "cuda"],
    code: 2,
    says: /Allowed choices are wasm, webgpu, reference/,
  },
  "an unknown data set": { args: ["train", "minst"], code: 2, says: /no file or directory "minst".*"mnist"/ },
  "an unknown layer": {
    args: ["train", "iris", "--layers", "dens 8"],
    code: 2,
    says: /There is no layer "dens"\. Known are dense, .*dropout.*Did you mean "dense"/,
  },
  "an unknown activation": {
    args: ["train", "iris", "--layers", "dense 8 rleu"],
    code: 2,
    says: /activation is "rleu".*Did you mean "relu"/,
  },
  "an unknown loss": {
    args: ["train", "iris", "--loss", "crosEntropy"],
    code: 2,
    says: /loss "crosEntropy".*"crossEntropy"/,
  },
  "an unknown optimizer": {
    args: ["train", "iris", "--optimizer", "adm"],
    code: 2,
    says: /"adm"\. Known are .*sgd.*"adam"/,
  },
  "a loss for another task": { args: ["train", "curve", "--loss", "crossEntropy"], code: 2, says: /for classes/ },
  "no target": {
    args: ["train", "t.csv"],
    prepare: table(fruit(20)),
    code: 2,
    says: /No target.*--target state.*size, .*state/,
  },
  "an option for other data": { args: ["train", "iris", "--target", "x"], code: 2, says: /--target is for tables/ },

  "a file that is not there": {
    args: ["train", "no.csv", "--target", "y"],
    code: 1,
    says: /no\.csv: there is no such file/,
  },
  "a spreadsheet": {
    args: ["train", "t.xlsx", "--target", "y"],
    prepare: (s) => s.write("t.xlsx", "PK"),
    code: 2,
    says: /t\.xlsx is a spreadsheet's own file\. Save it as CSV/,
  },
  "a test part in percent": { args: ["train", "iris", "--test", "20%"], code: 2, says: /fraction, --test 0\.2\./ },
  "a number of units alone": { args: ["train", "iris", "--layers", "64"], code: 2, says: /mean "dense 64 relu"/ },
  "a table without header": {
    args: ["train", "t.csv", "--target", "a"],
    prepare: table("0,0,a\n1,2,b\n"),
    code: 1,
    says: /t\.csv: the first line holds numbers, but names of the columns belong there/,
  },
  "a table without header or target": {
    args: ["train", "t.csv"],
    prepare: table("0,1,a\n1,2,b\n"),
    code: 2,
    says: /No target.*the first line holds numbers/,
  },
  "another target": {
    args: ["train", "t.csv", "--target", "price"],
    prepare: table(fruit(20)),
    code: 1,
    says: /no column "price"; the columns are "size"/,
  },
  "an empty table": { args: TABLE, prepare: table(""), code: 1, says: /t\.csv: the file is empty/ },
  "a table without rows": { args: TABLE, prepare: table("x,y\n"), code: 1, says: /header but no rows/ },
  "ragged rows": {
    args: TABLE,
    prepare: table(`x,y\n${rows((i) => (i === 6 ? "1,2,3" : `${i},a${i % 2}`))}`),
    code: 1,
    says: /t\.csv, row 8: there are 3 fields, but 2 names/,
  },
  "text among numbers": {
    args: TABLE,
    prepare: table(`x,y\n${rows((i) => `${i === 4 ? "tall" : i},a${i % 2}`)}`),
    code: 1,
    says: /t\.csv, row 6, column "x": the value is "tall"/,
  },
  "a missing value": {
    args: TABLE,
    prepare: table(`x,y\n${rows((i) => `${i === 4 ? "" : i},a${i % 2}`)}`),
    code: 1,
    says: /row 6, column "x": the value is missing; .*--missing mean .*--missing drop/,
  },
  "a missing target value": {
    args: TABLE,
    prepare: table(`x,y\n${rows((i) => `${i},${i === 2 ? "" : `a${i % 2}`}`)}`),
    code: 1,
    says: /row 4, column "y": the target is missing/,
  },
  "one class only": {
    args: TABLE,
    prepare: table(`x,y\n${rows((i) => `${i},same`)}`),
    code: 1,
    says: /every row has the class "same"/,
  },
  "an infinite value": {
    args: TABLE,
    prepare: table(`x,y\n${rows((i) => `${i === 3 ? "1e300" : i},a${i % 2}`)}`),
    code: 1,
    says: /row 5, column "x": the value is 1e\+300, too large/,
  },
  "the same target everywhere": {
    args: ["train", "t.csv", "--target", "y", "--task", "regression"],
    prepare: table(`x,y\n${rows((i) => `${i},5`)}`),
    code: 1,
    says: /target 5, so there is nothing to learn/,
  },
  "an empty IDX file": {
    args: ["train", "d"],
    prepare: damagedIdx((s) => s.write("d/train-images-idx3-ubyte", "")),
    code: 1,
    says: /train-images-idx3-ubyte: .*empty/,
  },
  "a truncated IDX file": {
    args: ["train", "d"],
    prepare: damagedIdx((s) => s.write("d/train-images-idx3-ubyte", idx([100, 28, 28], new Uint8Array(5000)))),
    code: 1,
    says: /train-images-idx3-ubyte: /,
  },
  "a damaged gzip file": {
    args: ["train", "d"],
    prepare: (s) => {
      s.write("d/train-images-idx3-ubyte.gz", gzipSync(idx([100, 28, 28], new Uint8Array(78400))).subarray(0, 60));
      s.write("d/train-labels-idx1-ubyte", idx([100], new Uint8Array(100)));
    },
    code: 1,
    says: /train-images-idx3-ubyte\.gz: /,
  },
  "labels and images that do not match": {
    args: ["train", "d"],
    prepare: damagedIdx((s) => s.write("d/train-labels-idx1-ubyte", idx([99], new Uint8Array(99)))),
    code: 1,
    says: /99 labels for 100/,
  },
  "labels out of range in the test set": {
    args: ["train", "d"],
    prepare: damagedIdx((s) => s.write("d/t10k-labels-idx1-ubyte", idx([100], new Uint8Array(100).fill(11)))),
    code: 1,
    says: /t10k-labels-idx1-ubyte, row 1: the label is 11; wanted is a whole number from 0 to 9/,
  },
  "a directory without data": { args: ["train", "."], code: 1, says: /no class folders/ },
  "an unwritable place": {
    args: ["train", "iris", "--out", "file/m.safetensors"],
    prepare: (s) => s.write("file", ""),
    code: 1,
    says: /Cannot write file\/m\.safetensors: a part of the path is a file/,
  },
  "a directory as model file": {
    args: ["train", "iris", "--out", "."],
    code: 1,
    says: /it is a directory. Name a file/,
  },
  "a model that is not there": { args: ["summary", "no.safetensors"], code: 1, says: /there is no such file/ },
  "a damaged model": {
    args: ["predict", "m.safetensors", "t.csv"],
    prepare: (s) => s.write("m.safetensors", "not a model at all"),
    code: 1,
    says: /m\.safetensors is no model file\. Give what "chainrule train" saved/,
  },
  "data in the place of the model": {
    args: ["evaluate", "t.csv", "m.safetensors"],
    prepare: table(fruit(20)),
    code: 1,
    says: /t\.csv is no model file.*Data come after it/,
  },
  "a checkpoint that is none": {
    args: ["train", "--resume", "t.csv"],
    prepare: table(fruit(20)),
    code: 1,
    says: /t\.csv is no model file/,
  },
  "an empty model": {
    args: ["evaluate", "m.safetensors", "iris"],
    prepare: (s) => s.write("m.safetensors", ""),
    code: 1,
    says: /m\.safetensors: .*(empty|short)/,
  },
};

describe.concurrent("failures", () => {
  for (const [title, { args, prepare, code, says }] of Object.entries(CASES)) {
    test(title, async () => {
      const scratch = new Scratch();
      prepare?.(scratch);
      const before = scratch.list();
      const outcome = await scratch.run(args);
      expect(outcome.stderr).toMatch(says);
      expect(outcome).toMatchObject({ code, stdout: "" });
      expect(outcome.stderr).not.toMatch(/^\s+at /m);
      expect(outcome.stderr).not.toContain("should not happen");
      expect(scratch.list()).toEqual(before);
    });
  }

  test("a run that diverges names step and layer, and keeps the last good weights", async () => {
    const scratch = new Scratch();
    const { code, stderr, stdout } = await scratch.run([
      "train",
      "iris",
      "--optimizer",
      "sgd",
      "--learning-rate",
      "1e30",
    ]);
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/Training stopped at step \d+ .*dense_\d.*They are in iris\.last-good\.safetensors/);
    expect(scratch.list()).toEqual(["iris.last-good.safetensors"]);
    expect((await scratch.run(["evaluate", "iris.last-good.safetensors", "iris"])).code).toBe(0);
  });

  test("a full disk when saving: the model goes elsewhere, and is whole", async (context) => {
    skipWhere(!existsSync("/dev/full"), "this system has no /dev/full", context);
    const scratch = new Scratch();
    const { code, stderr } = await scratch.run(["train", "iris", "--epochs", "2", "--out", "/dev/full"], {
      env: { TMPDIR: scratch.path },
    });
    expect(code).toBe(1);
    const [, refuge] = /the disk is full.* The model as it is now is in (\S+)\.$/m.exec(stderr) ?? [];
    expect(refuge).toBeTruthy();
    expect((await scratch.run(["summary", refuge])).code).toBe(0);
  });

  test("a model that could not be written leaves the former one as it was", async () => {
    const scratch = new Scratch();
    scratch.write("iris.safetensors", "the former model");
    await scratch.run(["train", "iris", "--optimizer", "sgd", "--learning-rate", "1e30"]);
    expect(readFileSync(join(scratch.path, "iris.safetensors"), "utf8")).toBe("the former model");
  });

  test("with --json the failure is an event too; with CHAINRULE_DEBUG the stack is shown", async () => {
    const scratch = new Scratch();
    const json = await scratch.run(["train", "nothing.csv", "--target", "y", "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ event: "error", name: "FileError" });
    const debug = await scratch.run(["train", "nothing.csv", "--target", "y"], { env: { CHAINRULE_DEBUG: "1" } });
    expect(debug.stderr).toMatch(/^\s+at /m);
  });

  test("data that do not fit the model", async () => {
    const scratch = new Scratch();
    scratch.write("prices.csv", prices(60));
    scratch.write("short.csv", "a,price\n1,2\n");
    await scratch.run(["train", "prices.csv", "--target", "price", "--epochs", "2", "--out", "p.safetensors"]);
    const says = async (args: readonly string[], code: number, message: RegExp) => {
      const outcome = await scratch.run(args);
      expect(outcome.stderr).toMatch(message);
      expect(outcome).toMatchObject({ code, stdout: "" });
    };
    await says(["evaluate", "p.safetensors", "iris"], 1, /\[4\], but the model takes \[2\]/);
    await says(["predict", "p.safetensors", "short.csv"], 1, /no column "b"/);
    await says(["predict", "p.safetensors", "no.png"], 1, /the model takes rows of 2 features/);
    await says(["train", "--resume", "p.safetensors"], 1, /is no checkpoint/);
  });
});
