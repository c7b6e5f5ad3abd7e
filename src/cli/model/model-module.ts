/**
 * `--model FILE`: a module of the user's whose default export builds the network. It sees this very copy of chainrule
 * under its usual names, wherever the file lies, since two copies in one process do not know each other's layers.
 * Only a file named on the command line is ever run; a checkpoint carries the network itself, and names no code.
 */
import Module from "node:module";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Dataset } from "../../data/index.ts";
import { readFile } from "../../data/node.ts";
import { type Backend, DataError, type Layer, Model } from "../../index.ts";
import { UsageError } from "../terminal/exit.ts";
import { plural } from "../terminal/text.ts";
import type { Recipe } from "../training/defaults.ts";
import { openFile } from "./open-model.ts";

/** What the function of a model file is called with. */
export interface ModelRequest {
  /** The shape of one row: [4], [28, 28, 1]. */
  readonly inputShape: readonly number[];
  /** Names of the classes; absent when numbers are predicted. */
  readonly classes?: readonly string[];
  /** How many numbers the network must give for a row. */
  readonly outputs: number;
  readonly seed: number;
  readonly backend: Backend;
  /** Layers that bring the input to about −1 … 1; to put first, or not. */
  readonly enter: readonly Layer[];
  /** Layers that bring the output into the target's units; to put last, or not. None for classes. */
  readonly leave: readonly Layer[];
}

export type ModelFunction = (request: ModelRequest) => Model | Promise<Model>;

const EXTENSIONS = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"];

/** What a module has under `default`; a CommonJS module that was compiled from TypeScript has it one level deeper. */
function defaultOf(module: { readonly default?: unknown }): unknown {
  const { default: found } = module;
  const isWrapped = typeof found === "object" && found !== null && "default" in found;
  return isWrapped ? found.default : found;
}

/** Runs a model file and gives its function. */
export async function readModelFunction(path: string): Promise<ModelFunction> {
  if (!EXTENSIONS.includes(extname(path))) {
    throw new UsageError(`--model ${path}: a file of ${EXTENSIONS.join(", ")} was wanted.`);
  }
  await readFile(path); // says why, where it cannot
  await offerChainrule();
  let module: { readonly default?: unknown };
  try {
    module = await import(pathToFileURL(resolve(path)).href);
  } catch (error) {
    const { code, message, name } = error as NodeJS.ErrnoException;
    if (code === "ERR_UNKNOWN_FILE_EXTENSION" && /ts$/.test(path)) {
      throw new DataError(
        `${path}: Node ${process.versions.node} does not read TypeScript by itself. Take Node 22.18 or later, or install tsx and set NODE_OPTIONS="--import tsx", or write the file in JavaScript.`,
        { file: path },
        { cause: error },
      );
    }
    throw new DataError(
      `${path} could not be loaded: ${name ?? "error"}: ${message}`,
      { file: path },
      { cause: error },
    );
  }
  const found = defaultOf(module);
  if (typeof found === "function") return found as ModelFunction;
  const names = Object.keys(module).filter((key) => key !== "default");
  const came =
    found !== undefined
      ? `it is ${found === null ? "null" : `of type ${typeof found}`}`
      : `there is none${names.length > 0 ? `, only ${names.join(", ")}` : ""}`;
  throw new DataError(
    `${path}: the default export must be a function that gives the model, but ${came}. Write: export default ({ inputShape, outputs, seed, backend }) => sequential({ input: inputShape, seed, backend }, [dense(8), dense(outputs)])`,
    { file: path },
  );
}

/** Lets modules import "chainrule" and its parts, and get what the command itself runs on. */
async function offerChainrule(): Promise<void> {
  const parts: Readonly<Record<string, object>> = {
    chainrule: await import("../../index.ts"),
    "chainrule/data": await import("../../data/index.ts"),
    "chainrule/data/node": await import("../../data/node.ts"),
    "chainrule/explain": await import("../../explain/index.ts"),
  };
  const key = "chainrule.parts";
  Object.assign(globalThis, { [Symbol.for(key)]: parts });
  const urls = Object.fromEntries(
    Object.entries(parts).map(([part, exports]) => {
      const source = `export const { ${Object.keys(exports).join(", ")} } = globalThis[Symbol.for("${key}")]["${part}"];`;
      return [part, `data:text/javascript,${encodeURIComponent(source)}`];
    }),
  );
  const hook = `let urls;
    export const initialize = (given) => { urls = given; };
    export const resolve = (name, context, next) =>
      Object.hasOwn(urls, name) ? { url: urls[name], format: "module", shortCircuit: true } : next(name, context);`;
  Module.register(`data:text/javascript,${encodeURIComponent(hook)}`, { data: urls });
  // `require`, which tsx makes of `import` outside of packages of modules, does not pass through that hook.
  const loader = Module as unknown as { _load(name: string, ...rest: unknown[]): unknown };
  const load = loader._load;
  loader._load = (name, ...rest) => (Object.hasOwn(parts, name) ? parts[name] : load.call(loader, name, ...rest));
}

export interface BuildSettings {
  readonly train: Dataset;
  readonly recipe: Recipe;
  readonly seed: number;
  readonly backend: Backend;
}

/** Calls a model file's function and checks what it gives. */
export async function buildModel(path: string, build: ModelFunction, settings: BuildSettings): Promise<Model> {
  const { train, recipe, seed, backend } = settings;
  const { inputShape, classes } = train;
  const { outputs, enter, leave } = recipe;
  const fail = (message: string, cause?: unknown) => new DataError(`${path}: ${message}`, { file: path }, { cause });
  let model: unknown;
  try {
    model = await build({ inputShape, ...(classes && { classes }), outputs, seed, backend, enter, leave });
  } catch (error) {
    throw fail(`its function failed: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  if (!(model instanceof Model)) {
    const isForeign = (model as Partial<Model> | undefined | null)?.network !== undefined;
    const came = isForeign
      ? 'it gave a model of another copy of chainrule; import from "chainrule"'
      : `it gave ${model === null ? "null" : typeof model === "object" ? "another object" : String(typeof model)}`;
    throw fail(`its function must give a model, made by sequential or functional, but ${came}.`);
  }
  const show = (shape: readonly number[]) => `[${shape.join(", ")}]`;
  const { outputShape } = model.network;
  if (model.inputShape.join() !== inputShape.join()) {
    throw fail(
      `the model takes rows of shape ${show(model.inputShape)}, but the data have ${show(inputShape)}. Build it with { input: inputShape }.`,
    );
  }
  const isTwo = classes?.length === 2 && outputShape.join() === "2" && !recipe.lossAsked;
  if (outputShape.join() !== String(outputs) && !isTwo) {
    throw fail(
      `the model gives ${show(outputShape)} for each row, but ${recipe.loss.name} needs ${plural(outputs, "number")} here. End it with dense(outputs).`,
    );
  }
  return model;
}

/** The network of a checkpoint, to go on with; no code is run for it. */
export async function modelOfCheckpoint(path: string, backend: Backend): Promise<Model> {
  const model = await openFile(path, backend);
  // These belong to the file, not to the model.
  delete model.details.run;
  delete model.details.training;
  return model;
}
