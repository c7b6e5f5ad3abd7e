/** One of ONNX's conformance cases: what it computes here, compared with what is right. */

import { ArgumentError } from "../src/errors.ts";
import { input } from "../src/graph/leaf.ts";
import type { Node } from "../src/graph/node.ts";
import { reference, wasm } from "../src/index.ts";
import { readTensorProto } from "../src/interchange/onnx/format.ts";
import { applyGraph } from "../src/interchange/onnx/graph.ts";
import { type OnnxFile, readOnnx } from "../src/interchange/onnx/read.ts";
import { type OnnxTensor, readTensor } from "../src/interchange/onnx/tensors.ts";
import { isFloat, Value, valueOfTensor } from "../src/interchange/onnx/value.ts";
import { makePlan } from "../src/plan/plan.ts";

export interface Outcome {
  readonly passed: boolean;
  /** Why it did not. */
  readonly reason: string;
}

const OWN_NUMBERS = "the case has the random numbers of its writer's generator";
const DOUBLES = "its numbers are larger than single precision holds, in which the engine computes";

/** Cases that do not pass, and why. */
export const EXCUSED: Readonly<Record<string, { readonly on: "both" | "wasm"; readonly why: string }>> = {
  test_training_dropout: { on: "both", why: OWN_NUMBERS },
  test_training_dropout_default: { on: "both", why: OWN_NUMBERS },
  test_training_dropout_mask: { on: "both", why: OWN_NUMBERS },
  test_operator_add_broadcast: { on: "wasm", why: DOUBLES },
  test_operator_add_size1_right_broadcast: { on: "wasm", why: DOUBLES },
  test_operator_add_size1_singleton_broadcast: { on: "wasm", why: DOUBLES },
};

/** ONNX's own tolerances. */
const RELATIVE = 1e-3;
const ABSOLUTE = 1e-7;

/**
 * @param read the bytes of one of the case's files
 * @param files the names of all of them
 */
export async function compareCase(
  read: (name: string) => Uint8Array,
  files: readonly string[],
  backend: string,
): Promise<Outcome> {
  try {
    const file = readOnnx(read("model.onnx"));
    const sets = [...new Set(files.flatMap((name) => /(test_data_set_\d+)[/\\]/.exec(name)?.[1] ?? []))];
    if (sets.length === 0) return { passed: false, reason: "there is no data to compare with" };
    for (const set of sets) {
      const tensors = (kind: string): (OnnxTensor | undefined)[] => {
        const list: (OnnxTensor | undefined)[] = [];
        for (const name of files) {
          const number = new RegExp(`${set}[/\\\\]${kind}_(\\d+)\\.pb$`).exec(name)?.[1];
          if (number === undefined) continue;
          const bytes = read(name);
          list[Number(number)] = bytes.length > 0 ? readTensor(readTensorProto(bytes)) : undefined;
        }
        return list;
      };
      const wrong = run(file, tensors("input"), tensors("output"), backend);
      if (wrong) return { passed: false, reason: wrong };
    }
    return { passed: true, reason: "" };
  } catch (error) {
    return { passed: false, reason: `${(error as Error).name}: ${(error as Error).message}` };
  }
}

/** The values that are given, and the arrays of the file. */
const withArrays = ({ arrays }: OnnxFile, values: ReadonlyMap<string, Value>): Map<string, Value> =>
  new Map([...[...arrays].map(([name, tensor]) => [name, valueOfTensor(tensor)] as const), ...values]);

/** What is wrong with the results, if something is. */
function run(
  file: OnnxFile,
  given: readonly (OnnxTensor | undefined)[],
  expected: readonly (OnnxTensor | undefined)[],
  backend: string,
): string | undefined {
  const constants = new Set<string>();
  const byName = new Map<string, OnnxTensor>();
  for (const [i, tensor] of given.entries()) {
    const name = file.inputs[i]?.name;
    if (tensor && name !== undefined) byName.set(name, tensor);
  }
  // Inputs that decide shapes become constants, one after the other as they are found.
  for (;;) {
    const nodes = new Map<string, Node>();
    const values = new Map<string, Value>();
    for (const [name, tensor] of byName) {
      const isConstant = constants.has(name) || tensor.data.length === 0;
      if (!isConstant) nodes.set(name, input(name, tensor.shape));
      values.set(name, isConstant ? valueOfTensor(tensor) : new Value(nodes.get(name)!, tensor.type));
    }
    let outputs: Value[];
    try {
      outputs = applyGraph(file.graph, withArrays(file, values));
    } catch (error) {
      const name = error instanceof ArgumentError && error.code === "needs-constant" ? error.facts.input : undefined;
      // It may come by way of others: then all whole numbers are taken for what decides shapes.
      const next = typeof name === "string" && byName.has(name) ? [name] : undefined;
      const open = [...byName].filter(([key, { type }]) => !constants.has(key) && !isFloat(type)).map(([key]) => key);
      const fixed = name === undefined ? [] : (next ?? open);
      if (fixed.length === 0) throw error;
      for (const key of fixed) constants.add(key);
      continue;
    }
    return compare(nodes, byName, outputs, expected, backend);
  }
}

function compare(
  nodes: ReadonlyMap<string, Node>,
  given: ReadonlyMap<string, OnnxTensor>,
  wanted: readonly Value[],
  expected: readonly (OnnxTensor | undefined)[],
  backend: string,
): string | undefined {
  const session = (backend === "reference" ? reference() : wasm()).open();
  try {
    const inputs = [...nodes.values()];
    const plan = makePlan({ inputs, outputs: wanted.map(({ node }) => node) });
    const executable = session.compile(plan);
    const run = executable.run([...nodes.keys()].map((name) => given.get(name)!.data));
    const results = (run as Exclude<typeof run, Promise<unknown>>).outputs;
    for (const [i, tensor] of expected.entries()) {
      if (!tensor) continue;
      const { shape, type } = wanted[i];
      if (String(shape) !== String(tensor.shape)) return `output ${i} has shape [${shape}], not [${tensor.shape}]`;
      if (type !== tensor.type) return `output ${i} has type ${type}, not ${tensor.type}`;
      const far = tensor.data.findIndex((e, k) => !isNear(results[i][k], e, isFloat(tensor.type)));
      if (far >= 0) return `output ${i}, element ${far} is ${results[i][far]}, not ${tensor.data[far]}`;
    }
    return undefined;
  } finally {
    session.close();
  }
}

const isNear = (actual: number, wanted: number, float: boolean): boolean =>
  Object.is(actual, wanted) ||
  actual === wanted ||
  (float && Math.abs(actual - wanted) <= ABSOLUTE + RELATIVE * Math.abs(wanted));
