// chainrule on a GPU, in one file that needs nothing but Node and its peer: (npm install webgpu), then
//
//   node bench/gpu.mjs                    under four minutes on a machine with a GPU
//   node bench/gpu.mjs --tiny             small sizes, to try it: works on SwiftShader too
//   node bench/gpu.mjs --seconds 5 --only matmul,mlp --json results.json --python /usr/bin/python3
//
// It takes the library from dist/ where that is built, else from src/, which Node runs from 22.18 on. Beside it, in the same
// run, PyTorch on CUDA, where a Python has it: float32 without TF32, then with. Every result is checked: products against
// sums in double precision, training by its loss.
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

const { values: asked } = parseArgs({
  options: {
    tiny: { type: "boolean", default: false },
    seconds: { type: "string" },
    only: { type: "string" },
    json: { type: "string" },
    python: { type: "string", default: "python3" },
  },
});
const tiny = asked.tiny;
const seconds = Number(asked.seconds ?? (tiny ? 0.3 : 3));
const chosen = (name) => asked.only === undefined || asked.only.split(",").includes(name);

const isBuilt = existsSync(new URL("../dist/webgpu/index.js", import.meta.url));
const part = (path) => import(new URL(isBuilt ? `../dist/${path}.js` : `../src/${path}.ts`, import.meta.url).href);
const {
  activation,
  adam,
  batchNorm,
  conv2d,
  dense,
  flatten,
  globalAveragePool2d,
  gpt,
  maxPool2d,
  residual,
  sequential,
} = await part("index");
const { webgpu } = await part("webgpu/index");
const { variable } = await part("graph/leaf");
const { matmul } = await part("ops/index");
const { makePlan } = await part("plan/plan");

const backend = await webgpu();
const probe = backend.open();
console.log(`${probe.description}, Node ${process.version}, library from ${isBuilt ? "dist" : "src"}`);
probe.close();
const results = [];
const report = (name, fields) => {
  results.push({ name, ...fields });
  const text = Object.entries(fields).map(
    ([key, value]) => `${key} ${typeof value === "number" ? round(value) : value}`,
  );
  console.log(`${name.padEnd(24)} ${text.join("   ")}`);
};
const round = (x) => (Math.abs(x) >= 100 ? Math.round(x).toLocaleString("en") : Number(x.toPrecision(3)));

// ---- Products: c = a · b in the GPU's memory, as many in a row as fill the time.

const sizes = tiny ? [32, 64] : [512, 1024, 2048, 4096, 8192];
if (chosen("matmul"))
  for (const n of sizes) {
    const session = backend.open();
    const [a, b, c] = ["a", "b", "c"].map((name) => variable(name, [n, n]));
    const fill = () => Float32Array.from({ length: n * n }, () => Math.random() - 0.5);
    const [va, vb] = [fill(), fill()];
    for (const [node, values] of [
      [a, va],
      [b, vb],
      [c, new Float32Array(n * n)],
    ])
      session.write(node, values);
    const program = session.compile(
      makePlan({ inputs: [], outputs: [], updates: [{ variable: c, value: matmul(a, b) }] }),
    );
    await program.run([], 1);
    const found = await session.read(c);
    let error = 0;
    for (let t = 0; t < 50; t++) {
      const [i, j] = [Math.floor(Math.random() * n), Math.floor(Math.random() * n)];
      let sum = 0;
      for (let k = 0; k < n; k++) sum += va[i * n + k] * vb[k * n + j];
      error = Math.max(error, Math.abs(found[i * n + j] - sum));
    }
    if (!(error < 1e-3 * Math.sqrt(n))) throw new Error(`the product of ${n} is wrong by ${error}`);
    let [count, best] = [1, 0];
    for (const begin = performance.now(); performance.now() - begin < seconds * 1000; ) {
      const start = performance.now();
      await program.run([], count);
      const spent = (performance.now() - start) / 1000;
      best = Math.max(best, (2 * n ** 3 * count) / spent / 1e12);
      if (spent < 0.1) count *= 2;
    }
    report(`matmul ${n}`, { "TFLOP/s": best, error });
    session.close();
  }

// ---- Networks: model.fit over data in the GPU's memory, as a user calls it.

const block = (channels, stride = 1) =>
  residual(
    [
      conv2d(channels, 3, { padding: "same", stride }),
      batchNorm(),
      activation("relu"),
      conv2d(channels, 3, { padding: "same" }),
      batchNorm(),
    ],
    stride === 1 ? {} : { projection: conv2d(channels, 1, { stride }) },
  );

const networks = {
  mlp: tiny
    ? {
        input: [784],
        layers: () => [dense(64, { activation: "relu" }), dense(64, { activation: "relu" }), dense(10)],
        batches: [32],
        rows: 64,
      }
    : {
        input: [784],
        layers: () => [dense(4096, { activation: "relu" }), dense(4096, { activation: "relu" }), dense(10)],
        batches: [128, 1024],
        rows: 8192,
      },
  cnn: {
    input: tiny ? [8, 8, 1] : [28, 28, 1],
    layers: () => [
      conv2d(tiny ? 4 : 32, 3, { activation: "relu" }),
      conv2d(tiny ? 4 : 64, 3, { activation: "relu" }),
      maxPool2d(2),
      flatten(),
      dense(tiny ? 8 : 128, { activation: "relu" }),
      dense(10),
    ],
    batches: tiny ? [16] : [64, 512],
    rows: tiny ? 32 : 2048,
  },
  resnet: {
    input: tiny ? [8, 8, 3] : [32, 32, 3],
    layers: () => {
      const widths = tiny ? [4, 8] : [16, 32, 64];
      const each = tiny ? 1 : 3;
      return [
        conv2d(widths[0], 3, { padding: "same" }),
        batchNorm(),
        activation("relu"),
        ...widths.flatMap((width, stage) =>
          Array.from({ length: each }, (_, i) => [
            block(width, stage > 0 && i === 0 ? 2 : 1),
            activation("relu"),
          ]).flat(),
        ),
        globalAveragePool2d(),
        dense(10),
      ];
    },
    batches: tiny ? [8] : [128],
    rows: tiny ? 16 : 1024,
  },
  gpt: tiny
    ? {
        input: [8],
        vocabulary: 11,
        layers: () => gpt({ vocabulary: 11, width: 8, heads: 2, blocks: 1 }),
        batches: [2],
        rows: 4,
      }
    : {
        input: [128],
        vocabulary: 96,
        layers: () => gpt({ vocabulary: 96, width: 256, heads: 8, blocks: 4 }),
        batches: [32],
        rows: 256,
      },
};

for (const [name, { input, layers, batches, rows, vocabulary }] of Object.entries(networks)) {
  if (!chosen(name)) continue;
  for (const batchSize of batches) {
    const size = input.reduce((a, b) => a * b, 1);
    const begin = performance.now();
    const model = sequential({ input, seed: 1, backend }, layers());
    const x = vocabulary
      ? Float32Array.from({ length: rows * size }, (_, i) => (i * i) % vocabulary)
      : Float32Array.from(
          { length: rows * size },
          (_, i) => Math.random() * 0.5 + (Math.floor(i / size) % 10 === i % 10 ? 0.5 : 0),
        );
    const y = vocabulary
      ? Int32Array.from(x, (_, i) => ((i + 1) * (i + 1)) % vocabulary)
      : Int32Array.from({ length: rows }, (_, i) => i % 10);
    let first;
    const epochs = [];
    let since = 0;
    for await (const epoch of model.fit(
      { x, y },
      { loss: "crossEntropy", optimizer: adam({ learningRate: 1e-3 }), epochs: 1e9, batchSize, onWarning: false },
    )) {
      first ??= performance.now() - begin;
      epochs.push(epoch);
      // Series grow to their length in the first epochs.
      if (epochs.length === 3) since = performance.now();
      if (epochs.length > 3 && performance.now() - since > seconds * 1000) break;
    }
    const measured = epochs.slice(3);
    const samples = measured.map(({ samplesPerSecond }) => samplesPerSecond).sort((a, b) => a - b);
    const [start, end] = [epochs[0].loss, epochs.at(-1).loss];
    if (!(end < start)) throw new Error(`${name}: the loss went from ${start} to ${end}`);
    report(`${name}, batch ${batchSize}`, {
      "samples/s": samples[samples.length >> 1],
      "first epoch, s": first / 1000,
      loss: `${round(start)} → ${round(end)}`,
    });
    model.close();
  }
}

// ---- PyTorch on the same device, if there is one.

const PYTORCH = `
import json, sys, time
import torch, torch.nn as nn
if not torch.cuda.is_available(): print(json.dumps({"none": "PyTorch has no CUDA here"})); sys.exit()
seconds, tiny = float(sys.argv[1]), sys.argv[2] == "tiny"
dev = "cuda"
def say(name, **fields): print(json.dumps({"name": name, **fields}), flush=True)
def clock(step):
    for _ in range(3): step()
    torch.cuda.synchronize(); start = time.time(); n = 0
    while time.time() - start < seconds:
        for _ in range(5): step()
        n += 5; torch.cuda.synchronize()
    return n / (time.time() - start)
class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(i, o, 3, stride, 1), nn.BatchNorm2d(o), nn.ReLU(), nn.Conv2d(o, o, 3, 1, 1), nn.BatchNorm2d(o))
        self.s = nn.Sequential() if stride == 1 and i == o else nn.Conv2d(i, o, 1, stride)
    def forward(self, x): return torch.relu(self.f(x) + self.s(x))
class Gpt(nn.Module):
    def __init__(self, v, w, h, b, t):
        super().__init__()
        self.e, self.p = nn.Embedding(v, w), nn.Parameter(torch.zeros(t, w))
        self.b = nn.ModuleList([nn.TransformerEncoderLayer(w, h, 4 * w, 0.0, "gelu", batch_first=True, norm_first=True) for _ in range(b)])
        self.n, self.o = nn.LayerNorm(w), nn.Linear(w, v)
        self.register_buffer("m", torch.triu(torch.full((t, t), float("-inf")), 1))
    def forward(self, x):
        x = self.e(x) + self.p
        for b in self.b: x = b(x, self.m)
        return self.o(self.n(x)).flatten(0, 1)
def nets():
    h = 64 if tiny else 4096
    mlp = lambda: nn.Sequential(nn.Linear(784, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 10))
    cnn = lambda: nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10))
    resnet = lambda: nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.BatchNorm2d(16), nn.ReLU(), *[Block(i, o, s) for i, o, s in [(16,16,1)]*3 + [(16,32,2),(32,32,1),(32,32,1),(32,64,2),(64,64,1),(64,64,1)]], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    image = lambda *s: (lambda b: (torch.rand(b, *s, device=dev), torch.randint(0, 10, (b,), device=dev)))
    text = lambda b: (torch.randint(0, 96, (b, 128), device=dev), torch.randint(0, 96, (b * 128,), device=dev))
    for b in (128, 1024): yield "mlp, batch %d" % b, mlp, image(784), b
    for b in (64, 512): yield "cnn, batch %d" % b, cnn, image(1, 28, 28), b
    yield "resnet, batch 128", resnet, image(3, 32, 32), 128
    yield "gpt, batch 32", lambda: Gpt(96, 256, 8, 4, 128), text, 32
say("device", what=torch.cuda.get_device_name(), version=torch.__version__)
for tf32 in (False, True):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    mark = " (TF32)" if tf32 else ""
    for n in ([32, 64] if tiny else [512, 1024, 2048, 4096, 8192]):
        a, b = torch.rand(n, n, device=dev), torch.rand(n, n, device=dev)
        say("matmul %d%s" % (n, mark), **{"TFLOP/s": clock(lambda: a @ b) * 2 * n ** 3 / 1e12})
    for name, make, data, batch in nets():
        net = make().to(dev); x, y = data(batch); opt = torch.optim.Adam(net.parameters(), 1e-3, fused=True); loss = nn.CrossEntropyLoss()
        def step():
            opt.zero_grad(set_to_none=True); loss(net(x), y).backward(); opt.step()
        say(name + mark, **{"samples/s": clock(step) * batch})
`;

if (chosen("pytorch")) {
  const { stdout, stderr, status, error } = spawnSync(
    asked.python,
    ["-c", PYTORCH, String(Math.min(1.5, seconds)), tiny ? "tiny" : ""],
    {
      encoding: "utf8",
      timeout: 120_000,
    },
  );
  const lines = (stdout ?? "").split("\n").filter((line) => line.startsWith("{"));
  for (const line of lines) {
    const { name, none, ...fields } = JSON.parse(line);
    if (none) console.log(`PyTorch is left out: ${none}`);
    else report(`PyTorch ${name}`, fields);
  }
  if (lines.length === 0)
    console.log(`PyTorch is left out: ${error?.message ?? stderr.trim().split("\n").at(-1) ?? status}`);
}

for (const { name, ...own } of results.filter(({ name }) => !name.startsWith("PyTorch"))) {
  const peer = results.find((other) => other.name === `PyTorch ${name}`);
  const unit = "TFLOP/s" in own ? "TFLOP/s" : "samples/s";
  if (peer) console.log(`${name}: ${round(own[unit] / peer[unit])} × PyTorch in float32`);
}
if (asked.json) writeFileSync(asked.json, JSON.stringify(results, null, 2));
