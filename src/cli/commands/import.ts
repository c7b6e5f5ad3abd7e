/** `chainrule import FILE MODEL`: another program's model as one of ours. */
import { type Command, InvalidArgumentError } from "commander";
import { FOREIGN_ENDS, foreignFile, openForeign } from "../model/foreign.ts";
import { portsText, readDetails } from "../model/metadata.ts";
import { names } from "../options/values.ts";
import { UsageError } from "../terminal/exit.ts";
import { count, painter, titled, warn } from "../terminal/text.ts";

interface ImportOptions {
  readonly classes?: readonly string[];
  readonly inputShape?: readonly number[];
  readonly input?: string;
  readonly output?: string;
  readonly channelsFirst?: boolean;
}

const HELP = `
The model is tested, used, explained and trained on as any other:
  chainrule import net.onnx net.safetensors --classes cat,dog
  chainrule train pictures/ --from net.safetensors
  chainrule import net.keras net.safetensors
  chainrule import web/model.json net.safetensors
Images have their channels last, [H, W, C], as all pictures here.`;

/** Options as they are written. */
const WRITTEN: Readonly<Record<string, string>> = {
  input: "--input",
  output: "--output",
  inputShape: "--input-shape",
  channelsLast: "--channels-first",
};

function shape(text: string): number[] {
  const sizes = text.split(/[,x]/).map(Number);
  if (sizes.every((n) => Number.isInteger(n) && n > 0)) return sizes;
  throw new InvalidArgumentError("Give sizes with commas between them, such as 3,224,224.");
}

export function register(program: Command): void {
  program
    .command("import")
    .summary("read another program's model: ONNX, Keras, TensorFlow.js")
    .description("Reads an ONNX file, a Keras file or a layers model of TensorFlow.js as a model of chainrule's own.")
    .argument("<file>", "a file that ends in .onnx, .keras or .h5, or a model.json")
    .argument("<model>", "the model file to write, such as net.safetensors")
    .option("--classes <names>", "what the outputs stand for, in order: the model is a classifier", names)
    .option("--input-shape <sizes>", "one sample, where the file leaves its sizes open", shape)
    .option("--input <name>", "which input takes the data, where there are several")
    .option("--output <name>", "which output is meant, where there are several")
    .option("--channels-first", "images come as the file has them, [C, H, W]")
    .addHelpText("after", HELP)
    .action(importModel);
}

async function importModel(file: string, path: string, options: ImportOptions): Promise<void> {
  const kind = foreignFile(file);
  if (!kind) throw new UsageError(`Give a file that ends in ${FOREIGN_ENDS}, not "${file}".`);
  const { classes, channelsFirst, ...named } = options;
  const asked = { ...named, ...(channelsFirst && { channelsLast: false }) };
  const strange = Object.keys(asked).filter((name) => !kind.takes.includes(name as keyof typeof asked));
  if (strange.length > 0)
    throw new UsageError(`${strange.map((name) => WRITTEN[name]).join(", ")} is for ONNX files; leave it out.`);
  const model = await openForeign(file, kind, asked);
  try {
    const { network } = model;
    const isOne = network.inputs[0].name === undefined && network.outputs[0].name === undefined;
    if (classes && !isOne)
      throw new UsageError(
        "--classes names those of one output; this model has named inputs or outputs. Leave it out.",
      );
    const [width] = network.outputs[0].shape;
    if (classes && classes.length !== width)
      throw new UsageError(`--classes names ${classes.length}, but the model gives ${count(width)} numbers.`);
    if (classes) Object.assign(model.details, { task: "classification", classes, loss: "crossEntropy" });
    const known = classes ?? readDetails(model, file).classes;
    await model.save(path);
    const paint = painter(process.stdout);
    const lines = [
      paint("bold", path),
      titled("takes", portsText(network.inputs), paint),
      titled("gives", `${portsText(network.outputs)}${known ? `: ${known.join(", ")}` : ""}`, paint),
      titled("parameters", count(network.parameterCount), paint),
    ];
    process.stdout.write(`${lines.join("\n")}\n`);
    if (isOne && !known && width > 1)
      warn("Its outputs are taken for numbers. If they stand for classes, name them: --classes cat,dog");
  } finally {
    model.close();
  }
}
