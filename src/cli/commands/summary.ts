/** `chainrule summary MODEL`: what is in a model file. */
import type { Command } from "commander";
import { portsText } from "../model/metadata.ts";
import { openModel } from "../model/open-model.ts";
import { name, painter, titled } from "../terminal/text.ts";

export function register(program: Command): void {
  program
    .command("summary")
    .summary("show what is in a model file")
    .description("Shows the layers of a trained model, what it takes and what it gives.")
    .argument("<model>", "a file that train wrote")
    .option("--json", "write it as one JSON object")
    .action(summary);
}

async function summary(path: string, options: { readonly json?: boolean }): Promise<void> {
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
