/**
 * What the studio's page costs and gives, in Chromium on the PATH: first paint, readiness, rows a second while the page is
 * watched, frames a second, the longest task of the page's main thread; beside it the same training in this Node.
 *
 *   npm run build && npx tsx bench/studio.ts
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { adam, dense, flatten, rescale, sequential } from "chainrule";
import { type Dataset, npzToDatasets, xor } from "chainrule/data";
import { chromium, type Page } from "playwright-core";
import { studioServer } from "../src/cli/studio/server.ts";

const SECONDS = 4;
const built = fileURLToPath(new URL("../dist/studio/", import.meta.url));
const hidden = (units: number, activation: string) => ({ kind: "dense", config: { units, activation } });
const base = { heldOut: 0, optimizer: { name: "adam", learningRate: 0.003, weightDecay: 0 }, seed: 7 };

/** What is trained in the page, and the same here. */
const RUNS = [
  {
    title: "XOR, 1,000 rows, 2-4-1, batches of 32",
    spec: {
      ...base,
      data: { kind: "toy", name: "xor", count: 1000, noise: 0.1, seed: 1 },
      layers: [hidden(4, "tanh")],
      batchSize: 32,
    },
    data: async (): Promise<Dataset> => xor({ count: 1000, noise: 0.1, seed: 1 }),
    layers: () => [dense(4, { activation: "tanh" }), dense(1)],
    loss: "binaryCrossEntropy",
  },
  {
    title: "digits, 4,000 rows, 784-128-10, batches of 64",
    spec: { ...base, data: { kind: "digits" }, layers: [hidden(128, "relu")], batchSize: 64 },
    data: async (): Promise<Dataset> => (await npzToDatasets(new Uint8Array(readFileSync(`${built}digits.npz`)))).train,
    layers: () => [rescale(1 / 255), flatten(), dense(128, { activation: "relu" }), dense(10)],
    loss: "crossEntropy",
  },
] as const;

/** Runs in the page before anything of it: counts frames and long tasks. */
const COUNTERS = `
  globalThis.counted = { frames: 0, longest: 0 };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) counted.longest = Math.max(counted.longest, duration);
  }).observe({ type: "longtask", buffered: true });
  (function tick() { counted.frames++; requestAnimationFrame(tick); })();`;

async function inPage(page: Page, address: string, spec: object): Promise<string> {
  const rows = (): Promise<number> =>
    page.evaluate('Number(document.querySelector("[data-testid=done]").textContent.replaceAll(",", ""))');
  const start = performance.now();
  await page.goto(`${address}#run=${encodeURIComponent(JSON.stringify(spec))}`);
  await page.locator(".unit, .cells").first().waitFor({ state: "attached" });
  const ready = performance.now() - start;
  const paint: number = await page.evaluate('performance.getEntriesByName("first-contentful-paint")[0].startTime');
  await page.getByTestId("speed").selectOption("full");
  await page.getByTestId("play").click();
  await page.waitForTimeout(1500);
  await page.evaluate("Object.assign(counted, { frames: 0, longest: 0 })");
  const [before, begun] = [await rows(), performance.now()];
  await page.waitForTimeout(1000 * SECONDS);
  const steps = (await rows()) - before;
  const seconds = (performance.now() - begun) / 1000;
  const { frames, longest } = (await page.evaluate("counted")) as { frames: number; longest: number };
  const perSecond = Math.round((steps * (spec as { batchSize: number }).batchSize) / seconds);
  return `${perSecond} rows/s, ${(frames / seconds).toFixed(0)} frames/s, longest task ${longest ? `${longest.toFixed(0)} ms` : "below 50 ms"}; first paint ${paint.toFixed(0)} ms, ready ${ready.toFixed(0)} ms`;
}

async function inNode({ data, layers, loss, spec }: (typeof RUNS)[number]): Promise<string> {
  const rows = await data();
  const model = sequential({ input: rows.inputShape, seed: 7 }, layers());
  const begun = performance.now();
  let [from, count] = [0, 0];
  const options = {
    loss,
    optimizer: adam({ learningRate: 0.003 }),
    epochs: 1e9,
    batchSize: spec.batchSize,
    metrics: ["accuracy"],
  };
  for await (const _ of model.fit(rows, { ...options, onWarning: false })) {
    const now = performance.now();
    if (now - begun < 1500) continue;
    if (from === 0) from = now;
    else count += rows.count;
    if (now - from > 1000 * SECONDS) break;
  }
  const perSecond = Math.round(count / ((performance.now() - from) / 1000));
  model.close();
  return `${perSecond} rows/s, ${model.engine}`;
}

const server = studioServer(built);
await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
const executablePath = execFileSync("which", ["chromium"], { encoding: "utf8" }).trim();
console.log(execFileSync(executablePath, ["--version"], { encoding: "utf8" }).trim(), "| Node", process.version);
for (const run of RUNS) {
  for (let round = 0; round < 3; round++) {
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await page.addInitScript(COUNTERS);
    console.log(`${run.title}\n  page: ${await inPage(page, address, run.spec)}`);
    await browser.close();
    console.log(`  Node: ${await inNode(run)}`);
  }
}
server.closeAllConnections();
server.close();
