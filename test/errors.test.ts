/** Errors: the class and the code of a mistake, its particulars as data, and its words as whoever shows it writes them. */
import {
  ArgumentError,
  ChainruleError,
  DataError,
  DivergenceError,
  dense,
  FileError,
  gather,
  input,
  load,
  reference,
  ShapeError,
  sequential,
  variable,
  wasm,
} from "chainrule";
import { readTable } from "chainrule/data";
import { expect, test } from "vitest";
import { makePlan } from "../src/plan/plan.ts";
import { inWords, joined, message, option } from "../src/wording.ts";

/** What a function throws, now or later. */
async function thrownBy(run: () => unknown): Promise<ChainruleError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof ChainruleError) return error;
    throw error;
  }
  throw new Error("Nothing was thrown.");
}

test("a data error is a ChainruleError and says where", () => {
  const error = new DataError("iris.csv, row 7: the target is missing", { file: "iris.csv", row: 7 });
  expect(error).toBeInstanceOf(ChainruleError);
  expect(error.name).toBe("DataError");
  expect(error.at).toEqual({ file: "iris.csv", row: 7 });
  expect(error.code).toBe("bad-data");
  expect(error.facts).toEqual({ file: "iris.csv", row: 7 });
});

test.each([
  ["wrong-argument", ArgumentError, () => dense(0), { wanted: "dense: units must be a whole number ≥ 1", came: "0" }],
  [
    "unknown-name",
    ArgumentError,
    () => sequential({ input: [2] }, [dense(3, { activation: "rleu" })]),
    { what: "activation", came: "rleu", meant: "relu" },
  ],
  ["wrong-shape", ShapeError, () => sequential({ input: [2, 2, 2] }, [dense(3)]), { layer: "dense_1" }],
  [
    "wrong-length",
    ArgumentError,
    () =>
      reference()
        .open()
        .write(variable("w", [4]), [1]),
    { array: "w", wanted: 4, came: 1 },
  ],
  [
    "no-value",
    ArgumentError,
    () =>
      wasm({ threads: 1 })
        .open()
        .read(variable("w", [4])),
    { variable: "w" },
  ],
  [
    "no-such-row",
    ArgumentError,
    () => {
      const [table, index] = [input("table", [2]), input("index", [1], "int")];
      const program = reference()
        .open()
        .compile(makePlan({ inputs: [table, index], outputs: [gather(table, index)] }));
      return program.run([new Float32Array(2), Int32Array.of(2)]);
    },
    { row: 2, rows: 2 },
  ],
  [
    "missing-value",
    DataError,
    () => readTable("a,b\n1,2\n,3\n", { target: "b", file: "t.csv" }),
    { file: "t.csv", row: 3, column: "a" },
  ],
  ["no-file-access", FileError, () => load("no/such.safetensors"), { path: "no/such.safetensors" }],
])("%s", async (code, Class, run, facts) => {
  const error = await thrownBy(run);
  expect(error.code).toBe(code);
  expect(error).toBeInstanceOf(Class);
  expect(error.facts).toMatchObject(facts);
  expect(JSON.parse(JSON.stringify(error.facts))).toMatchObject(facts);
});

test("a divergence says its step and the op", () => {
  const { code, facts } = new DivergenceError("The loss became NaN.", 7, "dense_1.z");
  expect([code, facts]).toEqual(["diverged", { step: 7, where: "dense_1.z" }]);
});

test("options in a message are written as whoever shows it writes them", () => {
  const said = joined(
    "row 3: ",
    message`fill it in, or take ${option("missing", "mean")} (${option("ignore")}), ${2} times.`,
  );
  expect(inWords(said)).toBe('row 3: fill it in, or take missing: "mean" (ignore), 2 times.');
  const error = new ArgumentError(said);
  expect(error.message).toBe(inWords(said));
  expect(error.inWords(({ option, value = "NAME" }) => `--${option} ${value}`)).toBe(
    "row 3: fill it in, or take --missing mean (--ignore NAME), 2 times.",
  );
});
