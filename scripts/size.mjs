// What the library weighs in a browser: each entry, and some uses of it, bundled, minified and gzipped. Fails when the
// whole library, or the studio's page, outgrows its budget, so that growth is a decision.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { bundledSize, gzipped } from "./bundle.mjs";

/** Bytes, gzipped; docs/benchmarks.md says what is in them. */
const BUDGET = 87_000;
/** Of the studio's scripts, the page's and its worker's; the digits are data. */
const STUDIO_BUDGET = 250_000;

const uses = {
  "all of chainrule": 'export * from "./src/index.ts";',
  "sequential, dense, adam": 'export { sequential, dense, adam } from "./src/index.ts";',
  "load a model and predict": 'export { load, fromBytes } from "./src/index.ts";',
  "all of chainrule/data": 'export * from "./src/data/index.ts";',
  "all of chainrule/explain": 'export * from "./src/explain/index.ts";',
  "all of chainrule/interchange": 'export * from "./src/interchange/index.ts";',
  "all of chainrule/webgpu": 'export * from "./src/webgpu/index.ts";',
  "all of chainrule/worker": 'export * from "./src/worker/index.ts";',
};

let whole = 0;
for (const [name, contents] of Object.entries(uses)) {
  const bytes = await bundledSize(contents, new URL("..", import.meta.url));
  if (name === "all of chainrule") whole = bytes;
  console.log(`${name.padEnd(28)} ${(bytes / 1000).toFixed(1).padStart(6)} kB`);
}
if (whole > BUDGET) {
  console.error(`The library has ${whole} bytes; its budget is ${BUDGET}.`);
  process.exitCode = 1;
}

const assets = new URL("../dist/studio/assets/", import.meta.url);
if (existsSync(assets)) {
  const scripts = readdirSync(assets).filter((name) => name.endsWith(".js"));
  const bytes = scripts.reduce((sum, name) => sum + gzipped(readFileSync(new URL(name, assets))), 0);
  console.log(`${"the studio's scripts".padEnd(28)} ${(bytes / 1000).toFixed(1).padStart(6)} kB`);
  if (bytes > STUDIO_BUDGET) {
    console.error(`The studio's scripts have ${bytes} bytes; their budget is ${STUDIO_BUDGET}.`);
    process.exitCode = 1;
  }
} else {
  console.log("the studio's scripts: not measured, since the page is not built (npm run build)");
}
