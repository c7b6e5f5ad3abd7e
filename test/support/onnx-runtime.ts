/** ONNX Runtime, where it is installed: what our files are computed with, to compare. */

/** Runs a model of one input and one output: the bytes of a file, or its path; with settings of the session. */
export type RunOnnx = (
  model: Uint8Array | string,
  x: Float32Array,
  shape: readonly number[],
  settings?: Readonly<Record<string, string>>,
) => Promise<Float32Array>;

/** Runs a model of named inputs and outputs. */
export type RunNamedOnnx = (
  model: Uint8Array,
  x: Readonly<Record<string, { readonly data: Float32Array; readonly shape: readonly number[] }>>,
) => Promise<Readonly<Record<string, Float32Array>>>;

interface Runtime {
  InferenceSession: {
    create(
      model: Uint8Array | string,
      options: object,
    ): Promise<{
      inputNames: string[];
      outputNames: string[];
      run(feeds: Record<string, unknown>): Promise<Record<string, { data: Float32Array }>>;
    }>;
  };
  Tensor: new (type: string, data: Float32Array, shape: readonly number[]) => unknown;
}

export const WITHOUT_RUNTIME =
  "onnxruntime-node is not installed; ONNXRUNTIME_NODE_INSTALL=skip npm install --no-save onnxruntime-node@1.30 brings it.";

const load = async (): Promise<Runtime | undefined> => {
  const name = "onnxruntime-node";
  return (await import(/* @vite-ignore */ name).catch(() => undefined)) as Runtime | undefined;
};

/** undefined where it is not installed. */
export async function namedOnnxRuntime(): Promise<RunNamedOnnx | undefined> {
  const runtime = await load();
  if (!runtime) return undefined;
  return async (model, x) => {
    const session = await runtime.InferenceSession.create(model, { logSeverityLevel: 3, intraOpNumThreads: 1 });
    const feeds = Object.entries(x).map(([name, { data, shape }]) => [
      name,
      new runtime.Tensor("float32", data, shape),
    ]);
    const results = await session.run(Object.fromEntries(feeds));
    return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data]));
  };
}

/** undefined where it is not installed. */
export async function onnxRuntime(): Promise<RunOnnx | undefined> {
  const runtime = await load();
  if (!runtime) return undefined;
  return async (model, x, shape, settings = {}) => {
    const session = await runtime.InferenceSession.create(model, {
      logSeverityLevel: 3,
      intraOpNumThreads: 1,
      extra: { session: settings },
    });
    const results = await session.run({ [session.inputNames[0]]: new runtime.Tensor("float32", x, shape) });
    return results[session.outputNames[0]].data;
  };
}
