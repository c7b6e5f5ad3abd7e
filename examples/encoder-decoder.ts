/**
 * An encoder reads a sequence, a decoder writes it backwards: each word it writes follows from those before it and from
 * what it looks up in the encoder's memory. The embedding that its words come from also says which word comes next.
 */
import {
  adam,
  decoderBlock,
  embedding,
  functional,
  positions,
  RandomStream,
  transformerBlock,
  unembedding,
} from "chainrule";

const [length, words, rows] = [5, 6, 600];
/** The word before the first. */
const START = 0;
const stream = new RandomStream(2, "reversal");
const source = Array.from({ length: rows }, () => Array.from({ length }, () => 1 + stream.integer(words - 1)));
const y = source.map((row) => row.toReversed());
// At each place the decoder is given the words before it, and is to say the next.
const target = y.map((row) => [START, ...row.slice(0, -1)]);

export const model = functional({ input: { source: [length], target: [length] }, seed: 1 }, ({ source, target }) => {
  const size = { width: 16, heads: 2 };
  const memory = source.to(embedding(words, 16)).to(positions()).to(transformerBlock(size));
  const h = target
    .to(embedding(words, 16, { name: "words" }))
    .to(positions())
    .to(decoderBlock(size), memory);
  return h.to(unembedding("words"));
});
const part = (from: number, to: number) => ({
  x: { source: source.slice(from, to), target: target.slice(from, to) },
  y: y.slice(from, to),
});
export const held = part(500, 600);
await model.fit(part(0, 500), { loss: "crossEntropy", optimizer: adam({ learningRate: 5e-3 }), epochs: 25 });
export const { accuracy } = await model.evaluate(held, { metrics: ["accuracy"] });

/** Writes word after word, each the likeliest. */
export async function write(sequence: readonly number[]): Promise<number[]> {
  const written: number[] = [];
  while (written.length < length) {
    const before = [START, ...written, ...new Array<number>(length).fill(START)].slice(0, length);
    const logits = await model.predict({ source: [sequence], target: [before] });
    const own = [...logits.subarray(words * written.length, words * (written.length + 1))];
    written.push(own.indexOf(Math.max(...own)));
  }
  return written;
}
console.log(accuracy, await write([1, 2, 3, 4, 5]));
