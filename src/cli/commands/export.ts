/** `chainrule export MODEL FILE`: a trained model for other programs, as the end of the file's name says. */
import { basename } from "node:path";
import { type Command, Option } from "commander";
import { writeFileAtomically } from "../../data/node.ts";
import type { Model } from "../../index.ts";
import type { WeightType } from "../../interchange/index.ts";
import { readDataFor } from "../data/sources.ts";
import { type Details, portsText } from "../model/metadata.ts";
import { openModel } from "../model/open-model.ts";
import { positiveWhole } from "../options/values.ts";
import { measureModel } from "../report/scores.ts";
import { UsageError } from "../terminal/exit.ts";
import { fileSize, measure, painter, percent, titled, warn } from "../terminal/text.ts";
import { refuseInput } from "../training/saving.ts";

interface ExportOptions {
  readonly opset?: number;
  readonly weights?: WeightType;
  readonly test?: string;
  readonly external?: true;
}

const HELP = `
FILE ends in
  .onnx         for ONNX Runtime, in Python, C#, C++ and browsers; Netron draws it
  .js, .ts      a file that predicts and depends on nothing: its few kernels as
                WebAssembly, its weights, predict(x) and classify(x)
  .py           a module of PyTorch, its weights beside it in NAME-weights.safetensors;
                there images are [B, C, H, W]
  .html         a page in which one draws a picture or types numbers and sees the
                answer; it sends nothing anywhere
  .safetensors  the model itself, with weights of 16 or 8 bits
Elsewhere images lie with their channels last, [H, W, C].

Examples
  chainrule export mnist.safetensors mnist.onnx
  chainrule export mnist.safetensors mnist.html --weights int8 --test mnist
  chainrule export mnist.safetensors small.safetensors --weights float16`;

export function register(program: Command): void {
  program
    .command("export")
    .summary("write a trained model for other programs: ONNX, PyTorch, JavaScript, a page")
    .description("Writes a trained model for other programs.")
    .argument("<model>", "a file that train or import wrote")
    .argument("<file>", "the file to write: .onnx, .py, .js, .ts, .html or .safetensors")
    .option("--opset <n>", "the version of ONNX's operators, 13 to 26; 18 unless said", positiveWhole)
    .addOption(
      new Option("--weights <type>", "how weights lie in the file").choices(["float32", "float16", "bfloat16", "int8"]),
    )
    .option("--external", "the weights of a .onnx file in another beside it, FILE.data; always where they have 2 GiB")
    .option("--test <data>", "with --weights: how much is lost by it on these data")
    .addHelpText("after", HELP)
    .action(exportModel);
}

async function exportModel(path: string, file: string, options: ExportOptions): Promise<void> {
  const end = /\.(onnx|py|js|mjs|ts|html|safetensors)$/i.exec(file)?.[1].toLowerCase();
  if (end === undefined)
    throw new UsageError(`Give a file that ends in .onnx, .py, .js, .ts, .html or .safetensors, not "${file}".`);
  const { opset, weights, test, external } = options;
  if (end === "py" && weights) throw new UsageError("--weights is not for .py files; leave it out.");
  if (end !== "onnx" && opset) throw new UsageError("--opset is for .onnx files; leave it out.");
  if (end !== "onnx" && external) throw new UsageError("--external is for .onnx files; leave it out.");
  if (test !== undefined && !weights) throw new UsageError("--test says what --weights costs; give both.");
  await refuseInput(file, [path]);
  const { model, details } = await openModel(path, {});
  try {
    const written = await contents(model, end, file, basename(path).replace(/\.[^.]*$/, ""), options);
    for (const [name, bytes] of written) await writeFileAtomically(name, bytes);
    const paint = painter(process.stdout);
    const batch = end === "onnx" ? "batch, " : "";
    const lines = [
      ...written.toReversed().map(([name, bytes]) => `${paint("bold", name)}, ${fileSize(bytes.length)}`),
      titled("input", portsText(model.network.inputs, batch), paint),
      titled("output", portsText(model.network.outputs, batch), paint),
      ...(test !== undefined ? [titled("weights", await cost(model, details, test, weights!), paint)] : []),
    ];
    process.stdout.write(`${lines.join("\n")}\n`);
    if (
      details.schema &&
      !/^(onnx|safetensors)$/.test(end) &&
      details.schema.columns.some(({ kind }) => kind === "categorical")
    )
      warn(
        "Its table has columns of words. The file takes the numbers that the table becomes, a feature for each word.",
      );
  } finally {
    model.close();
  }
}

/** The files to write, the model's own last, so that none is there without its weights. */
async function contents(
  model: Model,
  end: string,
  file: string,
  title: string,
  { opset, weights, external }: ExportOptions,
): Promise<[name: string, bytes: Uint8Array][]> {
  const { toModule, toOnnx, toOnnxFiles, toPage, toSafetensors, toTorch } = await import("../../interchange/index.ts");
  const given = weights && { weights };
  const text = (content: string): Uint8Array => new TextEncoder().encode(content);
  if (end === "safetensors") return [[file, toSafetensors(model, { ...given })]];
  if (end === "py") {
    // Not NAME.safetensors, which may be the model itself.
    const beside = file.replace(/\.py$/i, "-weights.safetensors");
    const { code, weights: arrays } = toTorch(model, { file: basename(beside) });
    return [
      [beside, arrays],
      [file, text(code)],
    ];
  }
  if (end === "html") return [[file, text(toPage(model, { title, ...given }))]];
  if (end === "py") {
    // Beside a model of the same name, the weights have one of their own.
    const beside = file.replace(/\.py$/i, "-weights.safetensors");
    const module = toTorch(model, { file: basename(beside) });
    return [
      [beside, module.weights],
      [file, text(module.code)],
    ];
  }
  if (end !== "onnx") return [[file, text(toModule(model, { language: end === "ts" ? "ts" : "js", ...given }))]];
  const onnx = { ...given, ...(opset !== undefined && { opset }) };
  const size = model.network.parameters.reduce((sum, { node }) => sum + 4 * sizeOf(node.shape), 0);
  if (!external && size < MOST_INSIDE) return [[file, toOnnx(model, onnx)]];
  const beside = `${file}.data`;
  const { graph, weights: arrays } = toOnnxFiles(model, basename(beside), onnx);
  return [
    [beside, arrays],
    [file, graph],
  ];
}

/** From here on weights go into a file of their own: protocol buffers end at 2 GiB. */
const MOST_INSIDE = 2 ** 31 - 2 ** 20;

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1);

/** What is lost on data when weights are kept in another type: `accuracy 97.91 % → 97.88 %`. */
async function cost(model: Model, details: Details, source: string, type: WeightType): Promise<string> {
  const { roundedWeights } = await import("../../interchange/index.ts");
  const { task } = details;
  if (task === "text" || task === "several")
    throw new UsageError("--test takes data with one input and one output; this model has other ones.");
  const data = await readDataFor(source, { ...details, task }, model.inputShape);
  const before = await measureModel(model, data);
  for (const { name, node } of model.network.parameters)
    model.setWeight(name, roundedWeights(await model.weightAsync(name), node.shape, type));
  const after = await measureModel(model, data);
  return "accuracy" in before && "accuracy" in after
    ? `accuracy ${percent(before.accuracy)} as float32, ${percent(after.accuracy)} as ${type}`
    : `loss ${measure(before.loss)} as float32, ${measure(after.loss)} as ${type}`;
}
