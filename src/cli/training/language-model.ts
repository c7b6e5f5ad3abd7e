/**
 * `chainrule train FILE.txt`: a small language model on one's own text. What is chosen is said; after each epoch it writes a
 * few words; at the end it is compared with what letters alone foretell.
 */
import { basename, resolve } from "node:path";
import { byteTokenizer, characterTokenizer, type Tokenizer, windows } from "../../data/index.ts";
import { checkWritable, readFile } from "../../data/node.ts";
import { adamw, cosineDecay, DataError, generate, gpt, type Model, sequential, warmup } from "../../index.ts";
import { chooseBackend } from "../options/backend.ts";
import { Display } from "../report/progress.ts";
import { Interrupted, UsageError } from "../terminal/exit.ts";
import { commandName, count, fromHere, measure, name, painter, plural, quote, titled } from "../terminal/text.ts";
import type { TrainOptions } from "./run.ts";
import { refuseInput } from "./saving.ts";
import { onSignals } from "./signals.ts";

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
];

/** The part of a text, its end, that is kept for validation. */
const HELD = 0.1;

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
      `--${option} is not for texts. They take --epochs, --batch-size, --learning-rate, --seed and --out.`,
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
  const letters = characterTokenizer(text);
  const tokenizer = letters.size <= 256 ? letters : byteTokenizer();
  const tokens = tokenizer.encode(text);
  const choice = choose(tokens.length, options);
  const cut = Math.floor(tokens.length * (1 - HELD));
  const { context, width, heads, blocks, dropout, epochs, batchSize, learningRate } = choice;
  const [train, held] = [tokens.subarray(0, cut), tokens.subarray(cut)].map((part) =>
    windows(part, { length: context }),
  );
  const { seed = 0 } = options;
  const layers = gpt({ vocabulary: tokenizer.size, width, heads, blocks, dropout });
  const model = sequential({ input: [context], seed, backend: chooseBackend(options) }, layers);
  Object.assign(model.details, { task: "text", tokenizer: tokenizer.toJSON() });
  const display = new Display(options);
  announce(source, text, tokenizer, model, choice, display, out);

  const steps = Math.ceil(train.count / batchSize) * epochs;
  const stop = new AbortController();
  const release = onSignals(() => {
    display.note("Stopping after this step. Once more, and it quits at once.");
    stop.abort();
  });
  const prompt = text.slice(0, 1);
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
      onProgress: (progress) => display.progress(progress),
      onWarning: false,
    });
    for await (const epoch of fitting) {
      display.epoch(epoch, epochs);
      const sample = await written(model, tokenizer, prompt, 160, seed + epoch.epoch);
      if (!options.quiet)
        display.note(titled("writes", name(sample.replaceAll(/\s+/g, " "), 200), painter(process.stderr)));
      display.event({ event: "sample", epoch: epoch.epoch, text: sample });
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    await model.save(out);
    throw new Interrupted(`Interrupted. The model as it is now is in ${out}.`);
  } finally {
    display.end();
    release();
  }
  model.details.trained = `${basename(resolve(source))}, ${plural(epochs, "epoch")} of adamw, batches of ${batchSize}`;
  await model.save(out);
  const scores = await model.evaluate(held, { metrics: ["bits", "perplexity"] });
  display.event({ event: "done", test: scores, model: out });
  report(scores.bits, scores.perplexity, tokens, tokenizer, out, display);
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
  const tokens =
    tokenizer.kind === "bytes"
      ? "bytes, since it has many different characters"
      : `${tokenizer.size} different characters`;
  display.note(
    [
      titled(
        "text",
        `${fromHere(source)}, ${plural(text.length, "character")}: ${tokens}; the last ${HELD * 100} % are kept for validation`,
        paint,
      ),
      titled(
        "network",
        `a transformer of ${blocks} blocks, ${heads} heads, width ${width}, dropout ${dropout}; ${count(model.network.parameterCount)} parameters; it sees ${context} characters`,
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
    characters: text.length,
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

/** How many bits a token takes for who knows nothing but how often each follows the one before it. */
function bitsOfPairs(tokens: ArrayLike<number>, from: number, size: number): number {
  const pairs = new Map<number, number>();
  const firsts = new Float64Array(size);
  for (let i = 1; i < from; i++) {
    const key = tokens[i - 1] * size + tokens[i];
    pairs.set(key, (pairs.get(key) ?? 0) + 1);
    firsts[tokens[i - 1]]++;
  }
  let bits = 0;
  for (let i = from + 1; i < tokens.length; i++) {
    // One is added to each count, so that nothing is impossible.
    const seen = (pairs.get(tokens[i - 1] * size + tokens[i]) ?? 0) + 1;
    bits -= Math.log2(seen / (firsts[tokens[i - 1]] + size));
  }
  return bits / Math.max(1, tokens.length - from - 1);
}

function report(
  bits: number,
  perplexity: number,
  tokens: Int32Array,
  tokenizer: Tokenizer,
  out: string,
  display: Display,
): void {
  const paint = painter(process.stderr);
  const unit = tokenizer.kind === "bytes" ? "byte" : "character";
  const pairs = bitsOfPairs(tokens, Math.floor(tokens.length * (1 - HELD)), tokenizer.size);
  display.note(
    [
      "",
      titled(
        "held out",
        `${measure(bits)} bits for each ${unit}, as undecided as among ${measure(perplexity)} equally likely ones`,
        paint,
        "bold",
      ),
      titled("", `${measure(pairs)} bits for who knows only which ${unit} follows which`, paint),
      titled("model", out, paint),
      "",
      paint("dim", `${commandName()} generate ${quote(out)} --prompt "The "`),
    ].join("\n"),
  );
}
