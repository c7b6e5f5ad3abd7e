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

interface ExportOptions {
  readonly opset?: number;
  readonly weights?: WeightType;
  readonly test?: string;
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
Elsewhere images lie with their channels last, [H, W, C].

Examples
  chainrule export mnist.safetensors mnist.onnx
  chainrule export mnist.safetensors mnist.html --weights int8 --test mnist`;

export function register(program: Command): void {
  program
    .command("export")
    .summary("write a trained model for other programs: ONNX, PyTorch, JavaScript, a page")
    .description("Writes a trained model for other programs.")
    .argument("<model>", "a file that train wrote")
    .argument("<file>", "the file to write: .onnx, .py, .js, .ts or .html")
    .option("--opset <n>", "the version of ONNX's operators, 13 to 26; 18 unless said", positiveWhole)
    .addOption(
      new Option("--weights <type>", "how weights lie in a .js, .ts or .html file").choices([
        "float32",
        "float16",
        "int8",
      ]),
    )
    .option("--test <data>", "with --weights: how much is lost by it on these data")
    .addHelpText("after", HELP)
    .action(exportModel);
}

async function exportModel(path: string, file: string, options: ExportOptions): Promise<void> {
  const end = /\.(onnx|py|js|mjs|ts|html)$/i.exec(file)?.[1].toLowerCase();
  if (end === undefined) throw new UsageError(`Give a file that ends in .onnx, .py, .js, .ts or .html, not "${file}".`);
  const { opset, weights, test } = options;
  if (["onnx", "py"].includes(end) && weights)
    throw new UsageError("--weights is for .js, .ts and .html files; leave it out.");
  if (end !== "onnx" && opset) throw new UsageError("--opset is for .onnx files; leave it out.");
  if (test !== undefined && !weights) throw new UsageError("--test says what --weights costs; give both.");
  const { model, details } = await openModel(path, {});
  try {
    const { toModule, toOnnx, toPage, toTorch } = await import("../../interchange/index.ts");
    const text = new TextEncoder();
    const given = weights && { weights };
    // Beside a model of the same name, the weights have one of their own.
    const beside = file.replace(/\.py$/i, "-weights.safetensors");
    const torch = end === "py" ? toTorch(model, { file: basename(beside) }) : undefined;
    if (torch) await writeFileAtomically(beside, torch.weights);
    const bytes = torch
      ? text.encode(torch.code)
      : end === "onnx"
        ? toOnnx(model, opset === undefined ? {} : { opset })
        : end === "html"
          ? text.encode(toPage(model, { title: basename(path).replace(/\.[^.]*$/, ""), ...given }))
          : text.encode(toModule(model, { language: end === "ts" ? "ts" : "js", ...given }));
    await writeFileAtomically(file, bytes);
    const paint = painter(process.stdout);
    const batch = end === "onnx" ? "batch, " : "";
    const lines = [
      `${paint("bold", file)}, ${fileSize(bytes.length)}`,
      ...(torch ? [`${paint("bold", beside)}, ${fileSize(torch.weights.length)}`] : []),
      titled("input", portsText(model.network.inputs, batch), paint),
      titled("output", portsText(model.network.outputs, batch), paint),
      ...(test !== undefined ? [titled("weights", await cost(model, details, test, weights!), paint)] : []),
    ];
    process.stdout.write(`${lines.join("\n")}\n`);
    if (details.schema && end !== "onnx" && details.schema.columns.some(({ kind }) => kind === "categorical"))
      warn(
        "Its table has columns of words. The file takes the numbers that the table becomes, a feature for each word.",
      );
  } finally {
    model.close();
  }
}

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
