/** Makes the worker in which it is called serve a model to the page that started it: for workers with modules of one's own. */
import { connect } from "./endpoint.ts";
import { Host } from "./host.ts";

/**
 * Serves a model to whoever started this worker with `inWorker`. The library's own worker does nothing else; one of yours
 * first defines what your network needs.
 *
 * @example
 * // my-worker.js
 * import "./my-layers.js"; // defineLayer, defineLoss, …
 * import { serve } from "chainrule/worker";
 * serve();
 * // page.js
 * const worker = new Worker(new URL("./my-worker.js", import.meta.url), { type: "module" });
 * const there = await inWorker(model, { worker });
 */
export function serve(): void {
  const node = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  connect(node?.parentPort ?? globalThis, new Host());
}
