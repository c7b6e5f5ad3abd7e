/** `chainrule generate MODEL`: what a language model writes, as it writes it. */
import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { type Tokenizer, tokenizerFrom } from "../../data/index.ts";
import { generate, type Model } from "../../index.ts";
import { openModel } from "../model/open-model.ts";
import type { BackendOptions } from "../options/backend.ts";
import { fraction, positiveWhole, wholeFromZero } from "../options/values.ts";
import { UsageError } from "../terminal/exit.ts";
import { onSignals } from "../training/signals.ts";

interface GenerateOptions extends BackendOptions {
  readonly prompt: string;
  readonly length: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed: number;
  readonly json?: boolean;
}

const HELP = `
Examples
  chainrule train book.txt
  chainrule generate book.safetensors --prompt "Once upon" --length 500
  chainrule generate book.safetensors --temperature 0.5 --seed 7`;

function temperature(text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("Give a number from 0 on, such as 0.8.");
}

export function register(program: Command): void {
  program
    .command("generate")
    .summary("let a model that was trained on a text write")
    .description(
      "Goes on with a beginning, character by character or piece by piece, as a model that was trained on a text foretells it.",
    )
    .argument("<model>", "a file that train wrote from a text")
    .option("--prompt <text>", "the beginning", "\n")
    .option("--length <n>", "how many characters, or what else the text was cut into", positiveWhole, 300)
    .option("--temperature <t>", "below 1 what is likely becomes likelier; 0 takes the likeliest", temperature, 0.8)
    .option("--top-k <n>", "draw from the n likeliest alone", positiveWhole)
    .option("--top-p <share>", "draw from the likeliest that together have this probability", fraction)
    .option("--seed <n>", "decides what is drawn: the same seed, the same text", wholeFromZero, 0)
    .option("--threads <n>", "threads", positiveWhole)
    .option("--json", "write it as one JSON object")
    .addHelpText("after", HELP)
    .action(write);
}

/** The tokens of a model that was trained on a text. */
function tokenizerOf(model: Model, path: string): Tokenizer {
  if (model.details.task === "text") return tokenizerFrom(model.details.tokenizer);
  throw new UsageError(`${path} was not trained on a text. "chainrule train book.txt" makes a model that writes.`);
}

async function write(path: string, options: GenerateOptions): Promise<void> {
  const { model } = await openModel(path, { threads: 1, ...options });
  const stop = new AbortController();
  const release = onSignals(() => stop.abort());
  try {
    const tokenizer = tokenizerOf(model, path);
    const { prompt, length, temperature, topK, topP, seed, json } = options;
    if (prompt === "") throw new UsageError("--prompt needs at least one character.");
    const sampling = { temperature, ...(topK !== undefined && { topK }), ...(topP !== undefined && { topP }) };
    const tokens: number[] = [];
    if (!json) process.stdout.write(prompt);
    let shown = "";
    const running = generate(model, tokenizer.encode(prompt), { length, seed, signal: stop.signal, ...sampling });
    for await (const token of running) {
      tokens.push(token);
      const text = tokenizer.decode(tokens);
      // A character of several bytes is shown when it is whole.
      if (json || text.endsWith("\ufffd")) continue;
      process.stdout.write(text.slice(shown.length));
      shown = text;
    }
    if (json) process.stdout.write(`${JSON.stringify({ prompt, text: tokenizer.decode(tokens), seed })}\n`);
    else process.stdout.write("\n");
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stdout.write("\n");
  } finally {
    release();
    model.close();
  }
}
