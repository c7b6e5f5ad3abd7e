/** chainrule's side of language.py: trains what the JSON file describes, prints the held-out loss of each seed as a JSON array. */
import { readFileSync } from "node:fs";
import { characterTokenizer, windows } from "../src/data/index.ts";
import { adam, gpt, sequential, wasm } from "../src/index.ts";

interface Spec {
  readonly text: string;
  /** Where the held-out part begins. */
  readonly cut: number;
  readonly width: number;
  readonly heads: number;
  readonly blocks: number;
  readonly context: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly epochs: number;
  readonly seeds: number;
}

const spec = JSON.parse(readFileSync(process.argv[2], "utf8")) as Spec;
const { text, cut, width, heads, blocks, context, batchSize, learningRate, epochs, seeds } = spec;
const letters = characterTokenizer(text);
const tokens = letters.encode(text);
const held = windows(tokens.subarray(cut), { length: context });
const all = windows(tokens.subarray(0, cut), { length: context });
// Whole batches alone, as on the other side.
const count = Math.floor(all.count / batchSize) * batchSize;
const train = { x: all.x.subarray(0, count * context), y: all.y.subarray(0, count * context), count };

const losses: number[] = [];
for (let seed = 0; seed < seeds; seed++) {
  const layers = gpt({ vocabulary: letters.size, width, heads, blocks });
  const model = sequential({ input: [context], seed, backend: wasm({ threads: 1 }) }, layers);
  await model.fit(train, {
    loss: "crossEntropy",
    optimizer: adam({ learningRate }),
    batchSize,
    epochs,
    onWarning: false,
  });
  losses.push((await model.evaluate(held)).loss);
  model.close();
}
console.log(JSON.stringify(losses));
