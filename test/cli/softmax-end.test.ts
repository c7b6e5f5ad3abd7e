/** A softmax that ends `--layers` is meant as the end: what is missing goes before it. */
import { expect, test } from "vitest";
import { chooseRecipe } from "../../src/cli/training/defaults.ts";
import { iris, xor } from "../../src/data/index.ts";

test.each([
  [
    "dense 32 relu, softmax",
    iris(),
    ["normalize", "dense", "dense", "activation"],
    ["added dense 3 before the softmax"],
  ],
  ["dense 3, softmax", iris(), ["normalize", "dense", "activation"], []],
  ["dense 8 relu, softmax", xor(), ["normalize", "dense", "dense", "activation"], ["added dense 2 before the softmax"]],
  ["dense 32 relu", iris(), ["normalize", "dense", "dense"], ["added dense 3 at the end"]],
])("%s", (layers, data, kinds, notes) => {
  const recipe = chooseRecipe(data, { layers });
  expect(recipe.layers.map(({ kind }) => kind)).toEqual(kinds);
  expect(recipe.loss.name).toBe("crossEntropy");
  expect(recipe.notes).toEqual(notes.map((note) => expect.stringContaining(note)));
});
