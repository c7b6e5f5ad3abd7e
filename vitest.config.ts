import { defineConfig } from "vitest/config";

const source = (file: string) => `${import.meta.dirname}/src/${file}`;

export default defineConfig({
  resolve: {
    alias: [
      { find: /^chainrule$/, replacement: source("index.ts") },
      { find: /^chainrule\/data\/node$/, replacement: source("data/node.ts") },
      { find: /^chainrule\/(data|explain|interchange|webgpu|worker)$/, replacement: source("$1/index.ts") },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two processes: as many as the smallest machine we build on has cores.
    maxWorkers: 2,
  },
});
