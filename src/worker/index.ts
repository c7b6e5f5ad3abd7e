/** chainrule/worker: a model that lives in a Worker. This file lists what is public and holds no logic. */
export { connect, type Endpoint, type Port } from "./endpoint.ts";
export { serve } from "./serve.ts";
export type { EpochFunction, WorkerFitOptions } from "./wire.ts";
export { type InWorkerOptions, inWorker, WorkerFit, WorkerModel } from "./worker-model.ts";
