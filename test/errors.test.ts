import { ChainruleError, DataError } from "chainrule";
import { expect, test } from "vitest";

test("a data error is a ChainruleError and says where", () => {
  const error = new DataError("iris.csv, row 7: the target is missing", { file: "iris.csv", row: 7 });
  expect(error).toBeInstanceOf(ChainruleError);
  expect(error.name).toBe("DataError");
  expect(error.at).toEqual({ file: "iris.csv", row: 7 });
});
