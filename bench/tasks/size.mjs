/**
 * What a program that trains must load of each library: bundled for the browser, minified and gzipped, with its
 * WebAssembly; of onnxruntime-node the native files of this platform. Prints {"sizes": [[what, bytes], …]}; peers that are
 * not installed are left out.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { bundledSize, gzipped } from "../../scripts/bundle.mjs";

const root = new URL("../../", import.meta.url);
const bench = new URL("../", import.meta.url);
const modules = new URL("node_modules/", bench);
const zipped = (path) => gzipped(readFileSync(new URL(path, modules)));

const sizes = [
  ["chainrule, all of it", await bundledSize('export * from "./src/index.ts";', root)],
  [
    "chainrule, a small use: `sequential`, `dense`, `adam`",
    await bundledSize('export { sequential, dense, adam } from "./src/index.ts";', root),
  ],
];

async function peer(name, what, measure) {
  if (existsSync(new URL(name, modules))) sizes.push([what, await measure()]);
}

await peer("@tensorflow/tfjs-backend-wasm", "TensorFlow.js: core, layers, WebAssembly backend with SIMD", async () => {
  const packages = ["core", "layers", "backend-wasm"].map((name) => `export * from "@tensorflow/tfjs-${name}";`);
  const wasm = zipped("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm");
  return (await bundledSize(packages.join("\n"), bench)) + wasm;
});
await peer("@jax-js/jax", "jax-js, all of it", () => bundledSize('export * from "@jax-js/jax";', bench));
await peer("brain.js", "brain.js, its browser build", () => bundledSize('export * from "brain.js/browser.js";', bench));
await peer("onnxruntime-node", "onnxruntime-node: its native library and binding for this platform", () => {
  const [abi] = readdirSync(new URL("onnxruntime-node/bin/", modules));
  const folder = `onnxruntime-node/bin/${abi}/${process.platform}/${process.arch}/`;
  const files = readdirSync(new URL(folder, modules)).filter((name) => /^(lib)?onnxruntime/.test(name));
  return files.reduce((total, name) => total + zipped(folder + name), 0);
});
console.log(JSON.stringify({ sizes }));
