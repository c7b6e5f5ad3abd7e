import { sequential, gpt, adamw, wasm, RandomStream } from "../src/index.ts";
const [L,H,W,T,B] = (process.env.SIZE ?? "4,4,128,64,12").split(",").map(Number);
const threads = Number(process.env.THREADS ?? 2);
const V = 65;
const s = new RandomStream(1, "x");
const N = B * 8;
const x = Uint8Array.from({ length: N * T }, () => s.integer(V)), y = Uint8Array.from({ length: N * T }, () => s.integer(V));
let t = performance.now();
const model = sequential({ input: [T], backend: wasm({ threads, turbo: process.env.TURBO === "1" }) }, gpt({ vocabulary: V, width: W, heads: H, blocks: L }));
console.log(model.engine, model.network.parameterCount, "build", (performance.now() - t).toFixed(0));
t = performance.now();
for await (const e of model.fit({ x, y }, { loss: "crossEntropy", optimizer: adamw({ learningRate: 1e-3 }), epochs: Number(process.env.EPOCHS ?? 4), batchSize: B, onWarning: false })) {
  const now = performance.now();
  console.log(e.epoch, e.loss.toFixed(4), ((N * T) / ((now - t) / 1000)).toFixed(0), "tokens/s", (now - t).toFixed(0)+"ms");
  t = now;
}
