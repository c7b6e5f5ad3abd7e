/**
 * `chainrule train FILE.txt`: a small language model on one's own text. What is chosen is said; after each epoch it writes a
 * few words; at the end it is compared with what letters alone foretell.
 */
import { basename, resolve } from "node:path";
import { characterTokenizer, type Tokenizer, windows } from "../../data/index.ts";
import { checkWritable, readFile } from "../../data/node.ts";
import {
  adamw,
  cosineDecay,
  DataError,
  DivergenceError,
  FileError,
  generate,
  gpt,
  type Model,
  sequential,
  warmup,
} from "../../index.ts";
import { chooseBackend } from "../options/backend.ts";
import { Display } from "../report/progress.ts";
import { Interrupted, UsageError } from "../terminal/exit.ts";
import { commandName, count, fromHere, measure, name, painter, plural, quote, titled } from "../terminal/text.ts";
import { storedRun } from "./resume.ts";
import type { TrainOptions } from "./run.ts";
import { checkpointPath, exists, keptWeights, refuseInput, save, savedElsewhere } from "./saving.ts";
import { onSignals } from "./signals.ts";
import { charactersOf, chooseTokenizer, HELD, partsOf, tokenWords } from "./tokens.ts";

/** Files that are read as text to learn to write. */
export const isText = (source: string): boolean => /\.(txt|text|md)$/i.test(source);

/** What the command takes for a text beside the options that say how it is shown. */
const TAKEN = [
  "epochs",
  "batchSize",
  "learningRate",
  "seed",
  "out",
  "threads",
  "backend",
  "turbo",
  "json",
  "quiet",
  "encoding",
  "resume",
  "tokens",
  "vocabulary",
];

interface Choice {
  readonly context: number;
  readonly width: number;
  readonly heads: number;
  readonly blocks: number;
  readonly dropout: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
}

/** A network and a run that take minutes, by the length of the text. */
function choose(length: number, { epochs, batchSize = 16, learningRate = 2e-3 }: TrainOptions): Choice {
  const isLong = length > 300_000;
  // About two million characters are read, in all epochs together.
  const usual = Math.min(30, Math.max(2, Math.round(2e6 / length)));
  return {
    context: length > 2_000 ? 64 : 16,
    width: isLong ? 128 : 96,
    heads: 4,
    blocks: isLong ? 4 : 3,
    dropout: isLong ? 0 : 0.1,
    epochs: epochs ?? usual,
    batchSize,
    learningRate,
  };
}

export async function trainOnText(source: string, options: TrainOptions): Promise<void> {
  const stray = Object.entries(options).find(
    ([key, value]) => value !== undefined && !TAKEN.includes(key) && value !== true,
  );
  if (stray) {
    const option = stray[0].replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new UsageError(
      `--${option} is not for texts. They take --tokens, --vocabulary, --epochs, --batch-size, --learning-rate, --seed and --out.`,
    );
  }
  const out = options.out ?? `${basename(source).replace(/\.[^.]*$/, "")}.safetensors`;
  await refuseInput(out, [source]);
  await checkWritable(out);
  const text = new TextDecoder(options.encoding).decode(await readFile(source));
  if (text.length < 200)
    throw new DataError(
      `${source} has ${plural(text.length, "character")}; a language model needs at least some hundred, better some hundred thousand.`,
      { file: source },
    );
  const tokenizer = await chooseTokenizer(text, options);
  const parts = partsOf(text).map((part) => tokenizer.encode(part));
  const choice = choose(parts[0].length + parts[1].length, options);
  const { context, width, heads, blocks, dropout, epochs, batchSize, learningRate } = choice;
  const [train, held] = parts.map((part) => windows(part, { length: context }));
  const { seed = 0, resume } = options;
  const layers = gpt({ vocabulary: tokenizer.size, width, heads, blocks, dropout });
  const model = sequential({ input: [context], seed, backend: await chooseBackend(options) }, layers);
  Object.assign(model.details, { task: "text", tokenizer: tokenizer.toJSON() });
  const display = new Display(options);
  announce(source, text, tokenizer, model, choice, display, out);
  const checkpoint = await checkpointPath(out);
  if (resume === undefined && (await exists(checkpoint)))
    display.note(`note: ${checkpoint}, left by a run that was interrupted, will be replaced.`);

  const steps = Math.ceil(train.count / batchSize) * epochs;
  const stop = new AbortController();
  const release = onSignals(() => {
    display.note("Stopping after this step. Once more, and it quits at once.");
    stop.abort();
  });
  const prompt = String.fromCodePoint(text.codePointAt(0)!);
  model.details.run = storedRun({ source, options, recipe: { epochs }, out });
  try {
    const fitting = model.fit(train, {
      loss: "crossEntropy",
      optimizer: adamw({
        learningRate: warmup({
          steps: Math.min(100, Math.ceil(steps / 10)),
          next: cosineDecay({ learningRate, steps }),
        }),
        weightDecay: 0.1,
        globalClipNorm: 1,
      }),
      epochs,
      batchSize,
      validation: held,
      signal: stop.signal,
      checkpoint: { path: checkpoint },
      onProgress: (progress) => display.progress(progress),
      onWarning: false,
      ...(resume !== undefined && { resume }),
    });
    for await (const epoch of fitting) {
      display.epoch(epoch, epochs);
      const sample = await written(model, tokenizer, prompt, 160, seed + epoch.epoch);
      if (!options.quiet)
        display.note(titled("writes", name(sample.replaceAll(/\s+/g, " "), 200), painter(process.stderr)));
      display.event({ event: "sample", epoch: epoch.epoch, text: sample });
    }
  } catch (error) {
    display.end();
    if (stop.signal.aborted && !(error instanceof FileError)) {
      display.event({ event: "interrupted", checkpoint });
      throw new Interrupted(
        `Interrupted. To go on where it stopped:\n  ${commandName()} train --resume ${quote(checkpoint)}\nIt is a model too, with which generate writes.`,
      );
    }
    delete model.details.run;
    if (error instanceof DivergenceError) throw await keptWeights({ out, model }, error);
    if (error instanceof FileError && error.path === checkpoint) throw await savedElsewhere({ out, model }, error);
    throw error;
  } finally {
    delete model.details.run;
    display.end();
    release();
  }
  model.details.trained = `${basename(resolve(source))}, ${plural(epochs, "epoch")} of adamw, batches of ${batchSize}`;
  await save({ out, model });
  const scores = await model.evaluate(held, { metrics: ["bits", "perplexity"] });
  // What was foretold: all but the first token of the windows, which follow each other.
  const foretold = charactersOf(tokenizer.decode(held.y));
  const bitsPerCharacter = (scores.bits * held.y.length) / foretold;
  display.event({ event: "done", test: { ...scores, bitsPerCharacter }, model: out });
  const { bits, perplexity } = scores;
  report({ bits, perplexity, bitsPerCharacter }, bitsOfPairs(text, tokenizer), tokenizer, out, display);
  model.close();
}

/** What the model writes after a beginning. */
export async function written(
  model: Model,
  tokenizer: Tokenizer,
  prompt: string,
  length: number,
  seed: number,
): Promise<string> {
  const tokens: number[] = [];
  for await (const token of generate(model, tokenizer.encode(prompt), { length, temperature: 0.8, seed }))
    tokens.push(token);
  return prompt + tokenizer.decode(tokens);
}

function announce(
  source: string,
  text: string,
  tokenizer: Tokenizer,
  model: Model,
  { context, width, heads, blocks, dropout, epochs, batchSize, learningRate }: Choice,
  display: Display,
  out: string,
): void {
  const paint = painter(process.stderr);
  const tokens = {
    characters: `${tokenizer.size} different ones`,
    bytes: "taken as bytes, which any text has",
    bpe: `in ${count(tokenizer.size)} different pieces of words`,
  }[tokenizer.kind];
  display.note(
    [
      titled(
        "text",
        `${fromHere(source)}, ${plural(charactersOf(text), "character")}, ${tokens}; the last ${HELD * 100} % are kept for validation`,
        paint,
      ),
      titled(
        "network",
        `a transformer of ${blocks} blocks, ${heads} heads, width ${width}, dropout ${dropout}; ${count(model.network.parameterCount)} parameters; it sees ${context} ${tokenWords(tokenizer)[1]}`,
        paint,
      ),
      titled(
        "training",
        `${plural(epochs, "epoch")} in batches of ${batchSize} windows, adamw, learning rate ${learningRate} with a warm-up, then along a cosine`,
        paint,
      ),
      titled("engine", model.engine, paint),
      "",
    ].join("\n"),
  );
  display.event({
    event: "start",
    data: source,
    characters: charactersOf(text),
    tokens: tokenizer.kind,
    vocabulary: tokenizer.size,
    context,
    width,
    heads,
    blocks,
    epochs,
    parameters: model.network.parameterCount,
    engine: model.engine,
    model: out,
  });
}

/**
 * How many bits a character (of bytes a byte) takes for who knows nothing but how often each follows the one before it, in the part
 * that was learnt from.
 */
function bitsOfPairs(text: string, tokenizer: Tokenizer): number {
  const letters = tokenizer.kind === "bpe" ? characterTokenizer(text) : tokenizer;
  const { size } = letters;
  const [learnt, held] = partsOf(text).map((part) => letters.encode(part));
  const pairs = new Map<number, number>();
  const firsts = new Float64Array(size);
  for (let i = 1; i < learnt.length; i++) {
    const key = learnt[i - 1] * size + learnt[i];
    pairs.set(key, (pairs.get(key) ?? 0) + 1);
    firsts[learnt[i - 1]]++;
  }
  let bits = 0;
  for (let i = 1; i < held.length; i++) {
    // One is added to each count, so that nothing is impossible.
    const seen = (pairs.get(held[i - 1] * size + held[i]) ?? 0) + 1;
    bits -= Math.log2(seen / (firsts[held[i - 1]] + size));
  }
  return bits / Math.max(1, held.length - 1);
}

function report(
  scores: Readonly<Record<"bits" | "perplexity" | "bitsPerCharacter", number>>,
  pairs: number,
  tokenizer: Tokenizer,
  out: string,
  display: Display,
): void {
  const { bits, perplexity, bitsPerCharacter } = scores;
  const paint = painter(process.stderr);
  const [token] = tokenWords(tokenizer);
  const unit = tokenizer.kind === "bytes" ? "byte" : "character";
  const each = `${measure(bits)} bits for each ${token}, as undecided as among ${measure(perplexity)} equally likely ones`;
  const lines = token === "character" ? [each] : [each, `${measure(bitsPerCharacter)} bits for each character`];
  display.note(
    [
      "",
      titled("held out", lines[0], paint, "bold"),
      ...lines.slice(1).map((line) => titled("", line, paint)),
      titled("", `${measure(pairs)} bits for who knows only which ${unit} follows which`, paint),
      titled("model", out, paint),
      "",
      paint("dim", `${commandName()} generate ${quote(out)} --prompt "The "`),
    ].join("\n"),
  );
}
