/** chainrule's side of parity.py: trains what the JSON file describes, prints the test scores as a JSON array. */
import { readFileSync } from "node:fs";
import { adam, type DenseOptions, dense, sequential, wasm } from "../src/index.ts";

interface Spec {
  /** How many classes; 0 for a regression. */
  readonly classes: number;
  readonly hidden: readonly number[];
  readonly activation: string;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly epochs: number;
  readonly init: DenseOptions["init"] | null;
  /** The test score of a run is the mean over its starts, the seeds of its models. */
  readonly runs: readonly { readonly starts: readonly number[]; readonly train: string; readonly test: string }[];
}

const spec = JSON.parse(readFileSync(process.argv[2], "utf8")) as Spec;

function read(path: string): { x: number[][]; y: number[] | number[][] } {
  const rows = readFileSync(path, "utf8").trim().split("\n").slice(1);
  const numbers = rows.map((row) => row.split(",").map(Number));
  const y = numbers.map((row) => row[row.length - 1]);
  return { x: numbers.map((row) => row.slice(0, -1)), y: spec.classes > 0 ? y : y.map((value) => [value]) };
}

const metric = spec.classes > 0 ? "accuracy" : "r2";
const scores: number[] = [];
for (const { starts, train, test } of spec.runs) {
  let total = 0;
  for (const seed of starts) total += await score(read(train), read(test), seed);
  scores.push(total / starts.length);
}
console.log(JSON.stringify(scores));

async function score(data: ReturnType<typeof read>, test: ReturnType<typeof read>, seed: number): Promise<number> {
  const { learningRate, batchSize, epochs, activation } = spec;
  const init = spec.init === null ? {} : { init: spec.init };
  const model = sequential({ input: [data.x[0].length], seed, backend: wasm({ threads: 1 }) }, [
    ...spec.hidden.map((units) => dense(units, { activation, ...init })),
    dense(spec.classes || 1, init),
  ]);
  const loss = spec.classes > 0 ? "crossEntropy" : "meanSquaredError";
  await model.fit(data, { loss, optimizer: adam({ learningRate }), batchSize, epochs });
  const { [metric]: result } = await model.evaluate(test, { metrics: [metric] });
  model.close();
  return result;
}
