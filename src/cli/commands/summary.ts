/** `chainrule summary MODEL`: what is in a model file. */
import type { Command } from "commander";
import { readFile } from "../../data/node.ts";
import { readHeader } from "../../data/tensor-file.ts";
import { portsText } from "../model/metadata.ts";
import { openModel } from "../model/open-model.ts";
import { holdsWeights, readWeightFiles } from "../model/torch-file.ts";
import { count, name, painter, plural, titled } from "../terminal/text.ts";

export function register(program: Command): void {
  program
    .command("summary")
    .summary("show what is in a model file")
    .description(
      "Shows the layers of a trained model, what it takes and what it gives; of weights alone their names and shapes.",
    )
    .argument("<model>", "a file that train wrote, or one of others")
    .option("--json", "write it as one JSON object")
    .action(summary);
}

/** Whether a file holds weights alone: of PyTorch, or safetensors of others. What cannot be read is for the reader of models. */
async function isWeights(path: string): Promise<boolean> {
  if (!/\.safetensors$/i.test(path)) return holdsWeights(path);
  try {
    return readHeader(await readFile(path)).metadata.chainrule === undefined;
  } catch {
    return false;
  }
}

/** The tensors of a file of weights, and where they were found. */
async function summaryOfWeights(path: string, json: boolean): Promise<void> {
  const { readTorch } = await import("../../interchange/index.ts");
  const { tensors, format, at, others } = await readTorch(await readWeightFiles(path), { file: path });
  const rows = [...tensors].map(([name, { shape, dtype, data }]) => ({ name, shape, dtype, count: data.length }));
  const parameterCount = rows.reduce((sum, row) => sum + row.count, 0);
  if (json) {
    const list = rows.map(({ count: _, ...row }) => row);
    process.stdout.write(`${JSON.stringify({ model: path, format, at, others, parameterCount, tensors: list })}\n`);
    return;
  }
  const paint = painter(process.stdout);
  const cells = rows.map(({ name: own, shape, dtype, count: n }) => [
    name(own, 60),
    `[${shape.join(", ")}]`,
    dtype,
    count(n),
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...cells.map((row) => row[column].length)));
  const lines = [
    paint("bold", path),
    "",
    ...cells.map((row) =>
      row.map((cell, i) => (i === 3 ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join("  "),
    ),
    "",
    titled(
      "holds",
      `${plural(parameterCount, "number")} in ${plural(rows.length, "tensor")}, weights of ${format === "PyTorch" ? "PyTorch" : "safetensors"} without a network`,
      paint,
    ),
    ...(at ? [titled("found", `under ${name(at, 60)}`, paint)] : []),
    ...(others.length > 0 ? [titled("beside", others.map((other) => name(other, 60)).join(", "), paint)] : []),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

async function summary(path: string, options: { readonly json?: boolean }): Promise<void> {
  if (await isWeights(path)) return summaryOfWeights(path, options.json === true);
  const { model, details } = await openModel(path, {});
  const { network } = model;
  const { task } = details;
  if (options.json) {
    const layers = network.layers.map((layer) => ({
      name: layer.name,
      kind: layer.kind,
      description: layer.description,
      outputShape: layer.outputShape,
      parameters: layer.parameters.map((parameter) => ({ name: parameter.name, shape: parameter.node.shape })),
    }));
    const { inputs, outputs, parameterCount, seed } = network;
    const shapes =
      task === "several"
        ? { inputs, outputs: outputs.map(({ name, shape }) => ({ name, shape })) }
        : { inputShape: network.inputShape, outputShape: network.outputShape };
    const all = { model: path, ...shapes, parameterCount, seed, layers, ...details };
    process.stdout.write(`${JSON.stringify(all)}\n`);
    model.close();
    return;
  }
  const paint = painter(process.stdout);
  const { classes, features, schema, trained } = details;
  const names = (list: readonly string[]): string =>
    list
      .slice(0, 12)
      .map((item) => name(item, 30))
      .join(", ") + (list.length > 12 ? `, … (${list.length})` : "");
  const line = (title: string, text: string): string => titled(title, text, paint, "dim", /(?<=[,;:]) /);
  const target = schema ? `${name(schema.target.name)}: ` : "";
  const lines = [
    paint("bold", path),
    "",
    model.summary(),
    "",
    ...(features ? [line("takes", names(features))] : []),
    ...(task === "several" ? [line("takes", portsText(network.inputs))] : []),
    line(
      "gives",
      task === "several"
        ? portsText(network.outputs)
        : classes
          ? `${target}${names(classes)}`
          : `${target}${task === "regression" ? "a number" : task}`,
    ),
    ...(trained ? [line("trained", name(trained, 100))] : []),
    ...(typeof model.details.loss === "string" ? [line("loss", name(model.details.loss))] : []),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  model.close();
}
