/** The part for browsers: nothing in it needs Node. */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, test } from "vitest";

const entry = (name: string) => fileURLToPath(new URL(`../../src/data/${name}.ts`, import.meta.url));

test("chainrule/data bundles for browsers, chainrule/data/node does not", async () => {
  const options = {
    bundle: true,
    write: false,
    minify: true,
    platform: "browser",
    format: "esm",
    logLevel: "silent",
  } as const;
  const { outputFiles } = await build({ ...options, entryPoints: [entry("index")], external: ["jpeg-js"] });
  expect(outputFiles[0].text).not.toMatch(/from"node:|require\(/);
  await expect(build({ ...options, entryPoints: [entry("node")], external: ["jpeg-js"] })).rejects.toThrow(/node:fs/);
});
