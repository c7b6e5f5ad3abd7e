/** One of ONNX's conformance cases: what it computes here, compared with what is right. */

import { ArgumentError } from "../src/errors.ts";
import { constant, input } from "../src/graph/leaf.ts";
import type { Node } from "../src/graph/node.ts";
import { sizeOf } from "../src/graph/shape.ts";
import { reference, wasm } from "../src/index.ts";
import { readTensorProto } from "../src/interchange/onnx/format.ts";
import { applyGraph } from "../src/interchange/onnx/graph.ts";
import { type OnnxFile, readOnnx } from "../src/interchange/onnx/read.ts";
import { type OnnxTensor, readTensor } from "../src/interchange/onnx/tensors.ts";
import { isFloat, Value, valueOfTensor } from "../src/interchange/onnx/value.ts";
import { add, gradientsOf, mul, sum } from "../src/ops/index.ts";
import { makePlan } from "../src/plan/plan.ts";
import { RandomStream } from "../src/random.ts";

export interface Outcome {
  readonly passed: boolean;
  /** Why it did not. */
  readonly reason: string;
}

const OWN_NUMBERS = "the case has the random numbers of its writer's generator";
const ROUNDING = "what is expected where 0 is right are the rounding errors of its writer, larger than the tolerance";
const DOUBLES = "its numbers are larger than single precision holds, in which the engine computes";

/** Cases that do not pass, and why. */
export const EXCUSED: Readonly<Record<string, { readonly on: "both" | "wasm"; readonly why: string }>> = {
  test_training_dropout: { on: "both", why: OWN_NUMBERS },
  test_training_dropout_default: { on: "both", why: OWN_NUMBERS },
  test_training_dropout_mask: { on: "both", why: OWN_NUMBERS },
  test_training_dropout_default_mask: { on: "both", why: OWN_NUMBERS },
  test_bernoulli: { on: "both", why: OWN_NUMBERS },
  test_bernoulli_double: { on: "both", why: OWN_NUMBERS },
  test_bernoulli_double_expanded: { on: "both", why: OWN_NUMBERS },
  test_bernoulli_expanded: { on: "both", why: OWN_NUMBERS },
  test_bernoulli_seed: { on: "both", why: OWN_NUMBERS },
  test_bernoulli_seed_expanded: { on: "both", why: OWN_NUMBERS },
  test_dft_inverse: { on: "both", why: ROUNDING },
  test_dft_inverse_opset19: { on: "both", why: ROUNDING },
  test_operator_add_broadcast: { on: "wasm", why: DOUBLES },
  test_operator_add_size1_right_broadcast: { on: "wasm", why: DOUBLES },
  test_operator_add_size1_singleton_broadcast: { on: "wasm", why: DOUBLES },
};

const KINK = "the case stands at a kink, a tie or a step, where there is no derivative";
const LARGE = "the numbers are so large that differences of them are inexact";
const NAN = "the file's own graph takes the softmax of a row of −∞ and hides the NaN";

/** Cases whose gradients do not equal central differences, and why; beside those that cannot be computed. */
export const EXCUSED_GRADIENTS: Readonly<Record<string, string>> = {
  test_attention_23_boolmask_fullymasked_row_nan_robustness_expanded: NAN,
  test_attention_23_fullymasked_qk_matmul_output_mode3_zero_expanded: NAN,
  test_attention_24_fullymasked_qk_matmul_output_mode3_zero_expanded: NAN,
  test_attention_4d_causal_nonpad_negative_offset_structural_empty_expanded: NAN,
  test_attention_causal_boolmask_nan_robustness_expanded: NAN,
  test_logsoftmax_large_number: LARGE,
  test_logsoftmax_large_number_expanded: LARGE,
  test_logsoftmax_large_number_expanded_ver18: LARGE,
  test_softmax_large_number: LARGE,
  test_softmax_large_number_expanded: LARGE,
  test_elu_example: KINK,
  test_elu_example_expanded_ver18: KINK,
  test_floor_example: KINK,
  test_hardmax_one_hot: KINK,
  test_leakyrelu_example: KINK,
  test_reduce_min_default_axes_keepdims_example: KINK,
  test_scatternd_min: KINK,
  test_selu_example: KINK,
  test_selu_example_expanded_ver18: KINK,
  test_thresholdedrelu_example_expanded_ver18: KINK,
  test_sign_model: KINK,
  test_operator_add_broadcast: LARGE,
  test_operator_add_size1_right_broadcast: LARGE,
  test_operator_add_size1_singleton_broadcast: LARGE,
  test_training_dropout: OWN_NUMBERS,
  test_training_dropout_default: OWN_NUMBERS,
  test_training_dropout_mask: OWN_NUMBERS,
};

/** ONNX's own tolerances. */
const RELATIVE = 1e-3;
const ABSOLUTE = 1e-7;

/**
 * @param read the bytes of one of the case's files
 * @param files the names of all of them
 * @param backend `wasm` or `reference`; `gradients` compares no results, but gradients with central differences
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
      // It may come by way of others: then whole numbers are taken for what decides shapes, and at last all.
      const open = [...byName].filter(([key]) => !constants.has(key));
      const whole = open.filter(([, { type }]) => !isFloat(type));
      const own = open.filter(([key]) => key === name);
      const fixed = name === undefined ? [] : ([own, whole, open].find((list) => list.length > 0) ?? []);
      if (fixed.length === 0) throw error;
      for (const [key] of fixed) constants.add(key);
      continue;
    }
    if (backend === "gradients") return compareGradients(nodes, byName, outputs);
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
      // What is known when the file is read never comes to the engine.
      const actual = wanted[i].known ?? results[i];
      const far = tensor.data.findIndex((e, k) => !isNear(actual[k], e, isFloat(tensor.type)));
      if (far >= 0) return `output ${i}, element ${far} is ${actual[far]}, not ${tensor.data[far]}`;
    }
    return undefined;
  } finally {
    session.close();
  }
}

/** Elements of each input whose derivative is compared. */
const TRIED = 5;

/** Derivatives of a weighted sum of all outputs by some elements of each input, beside central differences in float64. */
function compareGradients(
  nodes: ReadonlyMap<string, Node>,
  given: ReadonlyMap<string, OnnxTensor>,
  outputs: readonly Value[],
): string | undefined {
  const stream = new RandomStream(1, "weights");
  const terms = outputs
    .filter(({ type, shape }) => isFloat(type) && sizeOf(shape) > 0)
    .map(({ node }) => {
      const weights = Float64Array.from({ length: sizeOf(node.shape) }, () => 0.5 + stream.uniform());
      return sum(mul(node, constant(weights, node.shape)));
    });
  const names = [...nodes.keys()].filter((name) => isFloat(given.get(name)!.type));
  if (terms.length === 0 || names.length === 0) return undefined;
  const loss = terms.reduce((a, b) => add(a, b));
  const wrt = names.map((name) => nodes.get(name)!);
  const inputs = [...nodes.values()];
  const session = reference().open();
  const compute = (wanted: readonly Node[]) => {
    const executable = session.compile(makePlan({ inputs, outputs: wanted }));
    return (values: readonly Float64Array[]) => executable.run(values).outputs;
  };
  const values = [...nodes.keys()].map((name) => Float64Array.from(given.get(name)!.data));
  const gradients = compute(gradientsOf(loss, wrt))(values);
  const lossOf = compute([loss]);
  for (const [k, name] of names.entries()) {
    const own = values[inputs.indexOf(wrt[k])];
    for (let i = 0; i < Math.min(TRIED, own.length); i++) {
      const at = Math.floor((i * own.length) / Math.min(TRIED, own.length));
      const [before, step] = [own[at], 1e-5 * Math.max(1, Math.abs(own[at]))];
      const [above, below] = [before + step, before - step].map((value) => {
        own[at] = value;
        return lossOf(values)[0][0];
      });
      own[at] = before;
      const wanted = (above - below) / (2 * step);
      const actual = gradients[k][at];
      if (!Number.isFinite(wanted) || Math.abs(actual - wanted) <= 1e-5 * Math.max(1, Math.abs(wanted))) continue;
      return `∂/∂${name}[${at}] is ${actual}, by differences ${wanted}`;
    }
  }
  return undefined;
}

const isNear = (actual: number, wanted: number, float: boolean): boolean =>
  Object.is(actual, wanted) ||
  actual === wanted ||
  (float && Math.abs(actual - wanted) <= ABSOLUTE + RELATIVE * Math.abs(wanted));
