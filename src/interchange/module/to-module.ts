/**
 * A trained model as one file of JavaScript or TypeScript that only predicts: its own few kernels as WebAssembly, its weights
 * beside them, and some lines that put both together. The file depends on nothing.
 */
import { atOnce } from "../../backends/checks.ts";
import { standalone } from "../../backends/wasm/standalone.ts";
import { check, checkOptionNames } from "../../checks.ts";
import { floatToBfloat, floatToHalf } from "../../data/element-types.ts";
import { input } from "../../graph/leaf.ts";
import { type Shape, sizeOf } from "../../graph/shape.ts";
import { type LossOption, lossOf, takesLogits } from "../../nn/losses.ts";
import { sigmoid, softmax } from "../../ops/index.ts";
import { makePlan } from "../../plan/plan.ts";
import type { InferenceModel } from "../../train/inference-model.ts";
import { checkWeightType, isQuantized, quantize, type WeightType } from "../weights.ts";

/** Options of `toModule`. */
export interface ToModuleOptions {
  /** The language of the file; `"js"` unless said. */
  readonly language?: "js" | "ts";
  /** How weights lie in it: `"float16"` and `"bfloat16"` halve them, `"int8"` makes a quarter of them. `"float32"` unless said. */
  readonly weights?: WeightType;
}

/** What a file that predicts is made of. */
export interface Parts {
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  readonly classes: readonly string[] | undefined;
  /** The code that defines `predict`, and `classify` where there are classes; without `export`. */
  readonly code: string;
}

const base64 = (bytes: Uint8Array): string => {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
};

const joined = (parts: readonly Uint8Array[]): Uint8Array => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** The names of the classes, where the model is a classifier. */
function classesOf(model: InferenceModel<unknown>): readonly string[] | undefined {
  const { classes, task, loss } = model.details;
  const width = sizeOf(model.network.outputShape);
  const isClassifier =
    task === "classification" || model.network.outputs[0].op === "softmax" || /crossentropy/i.test(String(loss));
  if (!isClassifier || task === "text") return undefined;
  const given = Array.isArray(classes)
    ? classes.map(String)
    : Array.from({ length: Math.max(2, width) }, (_, i) => String(i));
  return given.length === Math.max(2, width) ? given : undefined;
}

/** The kinds of arrays in the weights' block: floats, halves, bytes with scales, whole numbers. */
const KIND = { float32: 0, float16: 1, int8: 2, other: 3, bfloat16: 4 } as const;

export function partsOf(model: InferenceModel<unknown>, weights: WeightType): Parts {
  checkWeightType(weights);
  const { network } = model;
  const { inputShape, outputShape } = network;
  const classes = classesOf(model);
  const x = input("x", [1, ...inputShape]);
  const { output } = network.apply(x, { training: false });
  // What the loss would do itself, so that a classifier gives probabilities.
  const loss = model.details.loss === undefined ? undefined : lossOf(model.trainedLoss() as LossOption);
  const [{ op }] = network.outputs;
  const logits = classes && loss && takesLogits(loss) && op !== "softmax" && op !== "sigmoid";
  const y = logits ? (sizeOf(outputShape) === 1 ? sigmoid(output) : softmax(output)) : output;
  const plan = makePlan({ inputs: [x], outputs: [y] });
  const module = standalone(plan, (variable) => atOnce(model.session.read(variable)));

  const stored: Uint8Array[] = [];
  const table = module.arrays.map(({ node, address, data }) => {
    if (node.dtype !== "float") {
      stored.push(bytesOf(data));
      return [address, data.byteLength, KIND.other, 0];
    }
    const floats = Float32Array.from(data);
    if (weights === "float16") {
      stored.push(bytesOf(Uint16Array.from(floats, floatToHalf)));
      return [address, floats.length, KIND.float16, 0];
    }
    if (weights === "bfloat16") {
      stored.push(bytesOf(Uint16Array.from(floats, floatToBfloat)));
      return [address, floats.length, KIND.bfloat16, 0];
    }
    if (weights === "int8" && isQuantized(node.shape)) {
      const { values, scales } = quantize(floats, node.shape);
      stored.push(bytesOf(scales), bytesOf(values));
      return [address, floats.length, KIND.int8, scales.length];
    }
    stored.push(bytesOf(floats));
    return [address, floats.length, KIND.float32, 0];
  });

  const decoders = [
    "if (kind === 0) floats.set(new Float32Array(take(count * 4)), address / 4);",
    weights === "float16" &&
      `if (kind === 1) { const h = new Uint16Array(take(count * 2)); for (let i = 0; i < count; i++) { const e = (h[i] >> 10) & 31, f = h[i] & 1023; floats[address / 4 + i] = (h[i] & 32768 ? -1 : 1) * (e ? (1 + f / 1024) * 2 ** (e - 15) : f * 2 ** -24); } }`,
    weights === "int8" &&
      "if (kind === 2) { const s = new Float32Array(take(columns * 4)), q = new Int8Array(take(count)); for (let i = 0; i < count; i++) floats[address / 4 + i] = q[i] * s[i % columns]; }",
    weights === "bfloat16" &&
      "if (kind === 4) { const h = new Uint16Array(take(count * 2)); floats.set(new Float32Array(Uint32Array.from(h, (b) => b << 16).buffer), address / 4); }",
    "if (kind === 3) new Uint8Array(memory.buffer).set(new Uint8Array(take(count)), address);",
  ].filter(Boolean);

  const size = sizeOf(inputShape);
  const code = `const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const memory = new WebAssembly.Memory({ initial: ${module.pages} });
const floats = new Float32Array(memory.buffer);
const run = new WebAssembly.Instance(new WebAssembly.Module(bytes(CODE)), { env: { memory } }).exports.run;
{
  const stored = bytes(WEIGHTS).buffer;
  let at = 0;
  const take = (length) => stored.slice(at, (at += length));
  for (const [address, count, kind, columns] of ${JSON.stringify(table)}) {
    ${decoders.join("\n    ")}
  }
}
function predict(x) {
  const rows = x.length / ${size};
  if (!Number.isInteger(rows) || rows === 0) throw new RangeError(\`predict takes rows of ${size} numbers, shape [${inputShape.join(", ")}]; \${x.length} numbers came.\`);
  const y = new Float32Array(rows * ${sizeOf(outputShape)});
  for (let i = 0; i < rows; i++) {
    floats.set(x.subarray ? x.subarray(i * ${size}, (i + 1) * ${size}) : x.slice(i * ${size}, (i + 1) * ${size}), ${module.inputs[0] / 4});
    run(0, 1, 1, ${module.inputs[0]}, ${module.outputs[0]});
    y.set(floats.subarray(${module.outputs[0] / 4}, ${module.outputs[0] / 4 + sizeOf(outputShape)}), i * ${sizeOf(outputShape)});
  }
  return y;
}
${classes ? classifyCode(sizeOf(outputShape)) : ""}`
    .replace("CODE", JSON.stringify(base64(module.code)))
    .replace("WEIGHTS", JSON.stringify(base64(joined(stored))));
  return { inputShape, outputShape, classes, code };
}

const classifyCode = (width: number): string => `function classify(x) {
  const p = predict(x);
  return Array.from({ length: p.length / ${width} }, (_, i) => {
    const probabilities = ${width === 1 ? "[1 - p[i], p[i]]" : `Array.from(p.subarray(i * ${width}, (i + 1) * ${width}))`};
    return { class: classes[probabilities.indexOf(Math.max(...probabilities))], probabilities };
  });
}
`;

/**
 * A model as the text of a file that only predicts, and depends on nothing: it exports `inputShape`, `predict(x)`, which takes rows
 * one after the other and gives their outputs, and for a classifier `classes` and `classify(x)`, which gives each row's class and
 * probabilities. Preprocessing layers are in it. Runs wherever WebAssembly has SIMD: browsers and Node since 2021.
 *
 * @example
 * await writeFileAtomically("digits.js", new TextEncoder().encode(toModule(model)));
 * // import { classify } from "./digits.js";
 */
export function toModule(model: InferenceModel<unknown>, options: ToModuleOptions = {}): string {
  checkOptionNames("toModule", options, ["language", "weights"]);
  const { language = "js", weights = "float32" } = options;
  check(language === "js" || language === "ts", 'toModule: the language is "js" or "ts"', language);
  const { inputShape, classes, code } = partsOf(model, weights);
  const rows = "x: Float32Array | readonly number[]";
  const signature = (name: string, result: string, comment: string): string =>
    language === "ts"
      ? `/** ${comment} */\nexport function ${name}(${rows}): ${result} {`
      : `/** ${comment} */\nexport function ${name}(x) {`;
  const exported = code
    .replace(
      "function predict(x) {",
      signature("predict", "Float32Array", "Rows one after the other → their outputs, one after the other."),
    )
    .replace(
      "function classify(x) {",
      signature(
        "classify",
        "{ class: string; probabilities: number[] }[]",
        "Rows one after the other → the class and the probabilities of each.",
      ),
    );
  const note = language === "ts" ? "// @ts-nocheck: the signatures are for those who import it.\n" : "";
  const constants = [
    `/** The shape of one row. */\nexport const inputShape = ${JSON.stringify(inputShape)};`,
    ...(classes ? [`export const classes = ${JSON.stringify(classes)};`] : []),
  ];
  return `// Made by chainrule: a network that only predicts. It depends on nothing.\n${note}${constants.join("\n")}\n${exported}`;
}
