import { sequential, gpt, adamw, wasm, RandomStream } from "../src/index.ts";
import { profileTraining } from "../src/explain/index.ts";
const [L,H,W,T,B] = (process.env.SIZE ?? "1,4,128,64,12").split(",").map(Number);
const V = 65; const s = new RandomStream(1, "x"); const N = B;
const x = Uint8Array.from({ length: N * T }, () => s.integer(V)), y = Uint8Array.from({ length: N * T }, () => s.integer(V));
const model = sequential({ input: [T], backend: wasm({ threads: 1, turbo: process.env.TURBO === "1" }) }, gpt({ vocabulary: V, width: W, heads: H, blocks: L }));
const steps = await profileTraining(model, { x, y }, { loss: "crossEntropy", optimizer: adamw({ learningRate: 1e-3 }), batchSize: B });
const total = steps.reduce((a, s) => a + s.milliseconds, 0);
console.log("total", total.toFixed(2), "ms", (B*T/total*1000).toFixed(0), "tokens/s");
for (const st of [...steps].sort((a, b) => b.milliseconds - a.milliseconds).slice(0, 26))
  console.log(st.milliseconds.toFixed(3).padStart(8), st.phase.padEnd(9), st.result.padEnd(44), (st.flops / st.milliseconds / 1e6).toFixed(1).padStart(6), "GF/s", (st.bytes / st.milliseconds / 1e6).toFixed(1).padStart(6), "GB/s", st.ops.join("+").slice(0, 60));
