import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";
import { digitsFile } from "./digits.ts";

const source = (file: string) => `${import.meta.dirname}/../src/${file}`;

/** The digits beside the page, as a file that it loads when they are chosen. */
const digits = (): Plugin => ({
  name: "digits",
  generateBundle() {
    this.emitFile({ type: "asset", fileName: "digits.npz", source: digitsFile() });
  },
  configureServer(server) {
    server.middlewares.use("/digits.npz", (_, response) => response.end(digitsFile()));
  },
});

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
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  server: {
    headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
  },
});
