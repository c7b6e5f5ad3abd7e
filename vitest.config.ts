import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    alias: {
      "chainrule/explain": new URL("./src/explain/index.ts", import.meta.url).pathname,
      chainrule: new URL("./src/index.ts", import.meta.url).pathname,
    },
  },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    // Two processes: as many as the smallest machine we build on has cores.
    maxWorkers: 2,
  },
});
