/** The studio's command: what is wrong with its arguments is said before anything is served. */
import { expect, test } from "vitest";
import { Scratch } from "./command.ts";

test.each([
  [["nothing.csv"], 1, "nothing.csv could not be read: there is no such file. Data sets without a file are xor,"],
  [["."], 2, ". is a folder. Open the studio without it, and drop the folder onto the page."],
  [["net.safetensors"], 2, "net.safetensors is a model; name the data to look at it with"],
  [["iris", "net.safetensors"], 2, "The studio takes a model and then data, or data alone."],
  [["iris", "--port", "99999"], 2, "--port 99999: a port is a whole number from 0 to 65535."],
])("chainrule studio %j", async (args, code, message) => {
  const scratch = new Scratch();
  scratch.write("net.safetensors", "no model");
  const outcome = await scratch.run(["studio", ...args, "--no-open"]);
  expect(outcome.stderr).toContain(message);
  expect(outcome.code).toBe(code);
  expect(outcome.stdout).toBe("");
});
