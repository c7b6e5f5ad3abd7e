// What the library weighs in a browser: each entry, and some uses of it, bundled, minified and gzipped. Fails when the
// whole library outgrows its budget, so that growth is a decision.
import { bundledSize } from "./bundle.mjs";

/** Bytes, gzipped; docs/benchmarks.md says what is in them. */
const BUDGET = 70_000;

const uses = {
  "all of chainrule": 'export * from "./src/index.ts";',
  "sequential, dense, adam": 'export { sequential, dense, adam } from "./src/index.ts";',
  "load a model and predict": 'export { load, fromBytes } from "./src/index.ts";',
  "all of chainrule/data": 'export * from "./src/data/index.ts";',
  "all of chainrule/explain": 'export * from "./src/explain/index.ts";',
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
