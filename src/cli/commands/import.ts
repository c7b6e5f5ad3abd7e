/** `chainrule import FILE MODEL`: another program's model as one of ours. */
import { type Command, InvalidArgumentError } from "commander";
import type { Model } from "../../index.ts";
import { FOREIGN_ENDS, foreignFile, openForeign } from "../model/foreign.ts";
import { portsText, readDetails } from "../model/metadata.ts";
import { holdsWeights, networkFor, readWeightFiles, WEIGHT_ENDS } from "../model/torch-file.ts";
import { chooseBackend } from "../options/backend.ts";
import { names } from "../options/values.ts";
import { UsageError } from "../terminal/exit.ts";
import { count, painter, titled, warn } from "../terminal/text.ts";

interface ImportOptions {
  readonly classes?: readonly string[];
  readonly inputShape?: readonly number[];
  readonly input?: string;
  readonly output?: string;
  readonly channelsFirst?: boolean;
  readonly model?: string;
  readonly layers?: string;
  readonly names?: Readonly<Record<string, string>>;
  readonly at?: string;
  readonly partial?: boolean;
}

const HELP = `
The model is tested, used, explained and trained on as any other:
  chainrule import net.onnx net.safetensors --classes cat,dog
  chainrule train pictures/ --from net.safetensors
  chainrule import net.keras net.safetensors
  chainrule import web/model.json net.safetensors
Weights of PyTorch need the network that they are for; what went where is shown:
  chainrule import net.pt net.safetensors --layers "dense 128 relu, dense 10" --input-shape 784
  chainrule import net.pt net.safetensors --model net.js
Images have their channels last, [H, W, C], as all pictures here.`;

/** Options as they are written. */
const WRITTEN: Readonly<Record<string, string>> = {
  input: "--input",
  output: "--output",
  inputShape: "--input-shape",
  channelsLast: "--channels-first",
  model: "--model",
  layers: "--layers",
  names: "--names",
  at: "--at",
  partial: "--partial",
};

function shape(text: string): number[] {
  const sizes = text.split(/[,x]/).map(Number);
  if (sizes.every((n) => Number.isInteger(n) && n > 0)) return sizes;
  throw new InvalidArgumentError("Give sizes with commas between them, such as 3,224,224.");
}

/** `dense_1=fc1,dense_2=head.fc` */
function pairs(text: string): Record<string, string> {
  const list = names(text).map((item) => item.split("="));
  if (list.every(([layer, module, ...more]) => layer && module && more.length === 0)) return Object.fromEntries(list);
  throw new InvalidArgumentError("Give our layers and their modules, such as dense_1=fc1,dense_2=head.fc.");
}

export function register(program: Command): void {
  program
    .command("import")
    .summary("read another program's model: ONNX, PyTorch, Keras, TensorFlow.js")
    .description(
      "Reads an ONNX file, a Keras file, a layers model of TensorFlow.js or weights of PyTorch as a model of chainrule's own.",
    )
    .argument("<file>", "a file that ends in .onnx, .keras, .h5, .pt, .pth or .safetensors, or a model.json")
    .argument("<model>", "the model file to write, such as net.safetensors")
    .option("--classes <names>", "what the outputs stand for, in order: the model is a classifier", names)
    .option("--input-shape <sizes>", "one sample, where the file leaves its sizes open", shape)
    .option("--input <name>", "which input takes the data, where there are several")
    .option("--output <name>", "which output is meant, where there are several")
    .option("--channels-first", "images come as the file has them, [C, H, W]")
    .option("--model <file>", "for weights alone: a module or a model file that has the network")
    .option("--layers <list>", "for weights alone: the layers, as train takes them, with --input-shape")
    .option("--names <pairs>", "for weights: which module a layer takes, such as dense_1=fc1", pairs)
    .option("--at <name>", "for weights: which of several state dicts is meant")
    .option("--partial", "for weights: take what fits and tell what does not")
    .addHelpText("after", HELP)
    .action(importModel);
}

/** The options that weights take, which have no network of their own. */
const OF_WEIGHTS = ["model", "layers", "names", "at", "partial"];

/** A model of a file of others, or of weights and the network that they are for. */
async function openAny(file: string, options: ImportOptions): Promise<Model> {
  const { classes: _, channelsFirst, ...named } = options;
  const asked = { ...named, ...(channelsFirst && { channelsLast: false }) };
  const kind = holdsWeights(file) ? undefined : foreignFile(file);
  if (!kind && !holdsWeights(file))
    throw new UsageError(`Give a file that ends in ${FOREIGN_ENDS}, ${WEIGHT_ENDS}, not "${file}".`);
  const takes: readonly string[] = kind ? kind.takes : ["inputShape", ...OF_WEIGHTS];
  const strange = Object.keys(asked).filter((name) => !takes.includes(name));
  if (strange.length > 0) {
    const whose = OF_WEIGHTS.includes(strange[0]) ? "weights of PyTorch" : "ONNX files";
    throw new UsageError(`${strange.map((name) => WRITTEN[name]).join(", ")} is for ${whose}; leave it out.`);
  }
  return kind ? openForeign(file, kind, asked) : openWeights(file, options);
}

async function openWeights(file: string, { names, at, partial, ...network }: ImportOptions): Promise<Model> {
  const model = await networkFor(file, network, chooseBackend({}));
  try {
    const { fromTorch } = await import("../../interchange/index.ts");
    const named = { ...(at !== undefined && { at }), ...(names && { names }) };
    const report = await fromTorch(await readWeightFiles(file), model, { file, strict: partial !== true, ...named });
    process.stderr.write(`${report}\n\n`);
    return model;
  } catch (error) {
    model.close();
    throw error;
  }
}

async function importModel(file: string, path: string, options: ImportOptions): Promise<void> {
  const { classes } = options;
  const model = await openAny(file, options);
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
