/** What people hand over by mistake is named, with what was wanted, before anything begins. */
import { ArgumentError, adam, dense, flatten, sequential, trainStep } from "chainrule";
import { expect, test } from "vitest";

const model = () => sequential({ input: [2] }, [dense(2)]);
const data = { x: [[0, 1]], y: [1] };
// Mistakes that TypeScript would catch, as plain JavaScript makes them.
const wrong = <T>(x: unknown) => x as T;

test.each([
  [
    "no data",
    () => model().fit(wrong(undefined), { loss: "crossEntropy" }),
    /fit takes its data as \{ x, y \}.*nothing came/,
  ],
  ["rows without targets", () => model().fit(wrong([[0, 1]]), { loss: "crossEntropy" }), /\{ x, y \}.*an array came/],
  ["no options", () => model().fit(data, wrong(undefined)), /fit needs a loss.*nothing came.*crossEntropy/],
  ["no loss", () => model().fit(data, wrong({ epochs: 2 })), /fit needs a loss.*an object with epochs came/],
  [
    "an option misspelt",
    () => model().fit(data, wrong({ loss: "crossEntropy", batchsize: 4 })),
    /no option "batchsize".*Did you mean "batchSize"/,
  ],
  [
    "an optimiser by name",
    () => model().fit(data, wrong({ loss: "crossEntropy", optimizer: "adamm" })),
    /such as adam\(.*the text "adamm" came/,
  ],
  [
    "an optimiser not called",
    () => model().fit(data, wrong({ loss: "crossEntropy", optimizer: adam })),
    /a function \(adam, not called\?\) came/,
  ],
])("fit: %s", async (_, run, message) => {
  await expect(run()).rejects.toThrow(ArgumentError);
  await expect(run()).rejects.toThrow(message);
});

test.each([
  ["layers first", () => sequential(wrong([dense(2)]), wrong(undefined)), /shape of one sample.*an array came/],
  [
    "a number for the shape",
    () => sequential(wrong({ input: 2 }), [dense(2)]),
    /\{ input: \[784\] \}; input is the number 2/,
  ],
  ["no layers", () => sequential({ input: [2] }, wrong(undefined)), /layers are a list.*nothing came/],
  [
    "a layer not called",
    () => sequential({ input: [2] }, [wrong(flatten)]),
    /Layer 1 must be.*a function \(flatten, not called\?\)/,
  ],
  ["a layer by name", () => sequential({ input: [2] }, [dense(2), wrong("relu")]), /Layer 2 must be.*the text "relu"/],
  [
    "an unknown option",
    () => sequential(wrong({ input: [2], sed: 1 }), [dense(2)]),
    /no option "sed".*Did you mean "seed"/,
  ],
])("sequential: %s", (_, build, message) => {
  expect(build).toThrow(ArgumentError);
  expect(build).toThrow(message);
});

test("trainStep and evaluate have the same door", async () => {
  expect(() => trainStep(model(), { loss: "crossEntropy", optimizer: wrong("sgd") })).toThrow(/the text "sgd" came/);
  await expect(model().evaluate(wrong([[0, 1]]), { loss: "crossEntropy" })).rejects.toThrow(
    /evaluate takes its data as \{ x, y \}/,
  );
});
