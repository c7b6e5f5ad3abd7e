import { sequential, lstm, gru, dense, adam, wasm, RandomStream } from "../src/index.ts";
const T = 64, B = 32, I = 32, H = 128;
const s = new RandomStream(1, "x"); const N = B * 8;
const x = Float32Array.from({ length: N * T * I }, () => s.uniform() - 0.5), y = Float32Array.from({ length: N }, () => s.uniform());
for (const [name, layer] of [["lstm", lstm(H)], ["gru", gru(H)]] as const) {
  let t = performance.now();
  const model = sequential({ input: [T, I], backend: wasm({ threads: Number(process.env.THREADS ?? 2), turbo: process.env.TURBO === "1" }) }, [layer, dense(1)]);
  for await (const e of model.fit({ x, y }, { loss: "meanSquaredError", optimizer: adam(), epochs: 6, batchSize: B, onWarning: false })) {
    const now = performance.now(); if (e.epoch === 1 || e.epoch === 6) console.log(name, model.engine, e.epoch, ((N * T) / ((now - t) / 1000)).toFixed(0), "time steps/s", (now - t).toFixed(0) + "ms"); t = now;
  }
}
