/**
 * Text, or any other sequence, from a network that says what comes next: one token after the other, each drawn by the
 * probabilities that the network gives. Keys and values of the places before are kept, so that a token costs one
 * place and not the whole window.
 */
import { BETWEEN_0_AND_1, checkNumbers, checkOptionNames, checkWhole } from "../checks.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { input } from "../graph/leaf.ts";
import { showShape, sizeOf } from "../graph/shape.ts";
import { makePlan } from "../plan/plan.ts";
import { RandomStream } from "../random.ts";
import { breathe } from "./breathe.ts";
import type { InferenceModel } from "./inference-model.ts";
import { softmaxOf } from "./metrics.ts";

/** How the next token is drawn. */
export interface SamplingOptions {
  /** What logits are divided by: below 1 the likely become likelier; 0 always takes the likeliest. 1 unless said. */
  readonly temperature?: number;
  /** Only the k likeliest are drawn from; all unless said. */
  readonly topK?: number;
  /** Only the likeliest that together have this probability (Holtzman et al., 2020); all unless said. */
  readonly topP?: number;
}

/** Options of `generate`. */
export interface GenerateOptions extends SamplingOptions {
  /** How many tokens to make; 100 unless said. */
  readonly length?: number;
  /** Decides what is drawn: the same seed, the same tokens. 0 unless said. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

const OPTIONS = ["temperature", "topK", "topP", "length", "seed", "signal"];

/** Draws a token by its logits, with a number from [0, 1). */
export function sampleToken(
  logits: Float32Array | Float64Array,
  { temperature = 1, topK = logits.length, topP = 1 }: SamplingOptions,
  uniform: number,
): number {
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
  if (temperature === 0) return order[0];
  const kept = order.slice(0, topK);
  const probabilities = softmaxOf(Float64Array.from(kept, (token) => logits[token] / temperature));
  let total = 0;
  let count = 0;
  while (count < kept.length && total < topP) total += probabilities[count++];
  let rest = uniform * total;
  for (let i = 0; i < count; i++) {
    rest -= probabilities[i];
    if (rest < 0) return kept[i];
  }
  return kept[count - 1];
}

/**
 * Goes on with a sequence of token numbers, one after the other, until `length` are made or `signal` stops it. The model takes a
 * sequence of tokens [T] and gives logits for each place [T, V], as of `gpt`; where its window is full, the last half of it is
 * taken again as the beginning.
 *
 * @param prompt at least one token
 * @throws ShapeError for a model that is not of this form; ArgumentError for layers that cannot go on place by place
 *
 * @example
 * const letters = characterTokenizer("to be or not to be");
 * const model = sequential({ input: [8] }, gpt({ vocabulary: letters.size, width: 16, heads: 2, blocks: 1 }));
 * for await (const token of generate(model, letters.encode("to "), { length: 5, seed: 1 })) console.log(letters.decode([token]));
 */
export async function* generate(
  model: InferenceModel<unknown>,
  prompt: ArrayLike<number>,
  options: GenerateOptions = {},
): AsyncGenerator<number, void, undefined> {
  checkOptionNames("generate", options, OPTIONS);
  const { temperature = 1, topK = 1, topP = 0.5, length = 100, seed = 0, signal } = options;
  checkNumbers("generate: ", { temperature }, [(x) => x >= 0 && Number.isFinite(x), "a number ≥ 0"]);
  checkNumbers("generate: ", { topP: topP === 1 ? 0.5 : topP }, BETWEEN_0_AND_1);
  checkWhole("generate: ", { topK, length }, 1);
  const { inputShape, outputShape } = model.network;
  const [window] = inputShape;
  const [, vocabulary] = outputShape;
  if (inputShape.length !== 1 || outputShape.length !== 2 || outputShape[0] !== window)
    throw new ShapeError(
      `generate needs a model that takes tokens [T] and gives logits for each place [T, V], as gpt makes; this one takes ${showShape(inputShape)} and gives ${showShape(outputShape)}.`,
    );
  if (prompt.length === 0) throw new ArgumentError("generate needs a beginning: give at least one token.");

  const decoder = openDecoder(model, window);
  const random = new RandomStream(seed, "generate");
  try {
    const tokens = Array.from(prompt);
    // What has been given to the network lies before `from`.
    let fed = tokens.slice(-window);
    let logits = await decoder.run(fed, 0);
    let position = fed.length;
    for (let made = 0; made < length; made++) {
      signal?.throwIfAborted();
      const token = sampleToken(logits.subarray(logits.length - vocabulary), options, random.uniform());
      tokens.push(token);
      yield token;
      if (made + 1 === length) break;
      if (position === window) {
        fed = tokens.slice(-Math.max(1, Math.floor(window / 2)));
        logits = await decoder.run(fed, 0);
        position = fed.length;
      } else {
        logits = await decoder.run([token], position);
        position++;
      }
      await breathe();
    }
  } finally {
    decoder.free();
  }
}

/** The network for one place at a time, with its memory in the engine. */
function openDecoder(model: InferenceModel<unknown>, window: number) {
  const { network, session } = model;
  const token = input("token", [1, 1]);
  const position = input("position", []);
  const { output, updates, memories } = network.apply(token, {
    training: false,
    memory: { position, length: window },
  });
  for (const node of memories) session.write(node, new Float32Array(sizeOf(node.shape)));
  const executable = session.compile(makePlan({ inputs: [token, position], outputs: [output], updates }));
  return {
    /** Gives the network tokens from some place on; the logits of all of them. */
    run: async (tokens: readonly number[], from: number): Promise<Float32Array> => {
      const places = Float32Array.from(tokens, (_, i) => from + i);
      const { outputs } = await executable.run([Float32Array.from(tokens), places], tokens.length);
      return outputs[0] as Float32Array;
    },
    free: () => {
      executable.free();
      for (const node of memories) session.free(node);
    },
  };
}
