/** The walls of the house: which folder may import which. The arrows of docs/architecture.md, as a test. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { build } from "esbuild";
import { expect, test } from "vitest";

const SRC = resolve(import.meta.dirname, "../src");

/** What each folder may import besides itself; "." stands for the files directly in src: errors.ts and random.ts. */
const ARROWS: Record<string, readonly string[]> = {
  ".": [],
  graph: ["."],
  ops: [".", "graph"],
  plan: [".", "graph", "ops"],
  backends: [".", "graph", "ops", "plan"],
  nn: [".", "graph", "ops"],
  optim: [".", "graph", "ops"],
  data: ["."],
  train: [".", "graph", "ops", "plan", "backends", "nn", "optim", "data"],
  explain: [".", "graph", "ops", "plan", "backends", "nn", "optim", "data", "train"],
  worker: ["."],
  webgpu: ["backends"],
  interchange: [".", "graph", "ops", "plan", "backends", "nn", "data", "train"],
  cli: [".", "data", "explain", "interchange", "webgpu"],
};

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));

const folderOf = (file: string): string => {
  const parts = relative(SRC, file).split("/");
  return parts.length === 1 ? "." : parts[0];
};

const importsOf = (text: string): string[] =>
  [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1]);

test("imports follow the arrows", () => {
  const broken: string[] = [];
  for (const name of files) {
    const file = join(SRC, name);
    if (name === "index.ts") continue; // The public API lists what all rooms offer.
    const from = folderOf(file);
    for (const target of importsOf(readFileSync(file, "utf8"))) {
      if (!target.startsWith(".")) continue;
      const to = folderOf(resolve(dirname(file), target));
      if (to !== from && !ARROWS[from]?.includes(to)) broken.push(`src/${name} imports ${target}: ${from} → ${to}`);
    }
  }
  expect(broken).toEqual([]);
});

test("no file comes back to itself by way of those that it imports, nor of the types", () => {
  const needs = new Map(
    files.map((name) => {
      const own = importsOf(readFileSync(join(SRC, name), "utf8")).filter((target) => target.startsWith("."));
      return [name, own.map((target) => relative(SRC, resolve(dirname(join(SRC, name)), target)))] as const;
    }),
  );
  const circles: string[] = [];
  const done = new Set<string>();
  const follow = (name: string, way: readonly string[]): void => {
    if (way.includes(name)) circles.push([...way.slice(way.indexOf(name)), name].join(" → "));
    if (done.has(name) || way.includes(name)) return;
    for (const next of needs.get(name) ?? []) follow(next, [...way, name]);
    done.add(name);
  };
  for (const name of files) follow(name, []);
  expect(circles).toEqual([]);
});

test("only the rooms that deal with files and terminals import Node's modules statically", () => {
  const outside = files.filter((name) => !/^(cli|data\/node)(\/|\.ts)/.test(name));
  const broken = outside.filter((name) => /^import .*"node:/m.test(readFileSync(join(SRC, name), "utf8")));
  expect(broken).toEqual([]);
});

test("what is said of ops is in no bundle that does not explain", async () => {
  const bundled = async (entry: string) => {
    const { outputFiles } = await build({
      entryPoints: [join(SRC, entry)],
      external: ["node:*", "jpeg-js"],
      bundle: true,
      charset: "utf8",
      format: "esm",
      write: false,
    });
    return outputFiles[0].text;
  };
  expect(await bundled("explain/index.ts")).toContain("∂a/∂z = 1 − a²");
  expect(await bundled("index.ts")).not.toContain("∂a/∂z");
});
