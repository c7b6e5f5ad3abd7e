/**
 * The GPU of a browser: a page trains on it, in Chromium with SwiftShader, and learns what Node learns on its processor.
 * Another page, which may not have it, is told so.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserOnPath } from "../support/browser.ts";

const executablePath = browserOnPath();
if (executablePath === undefined) console.warn("skipped: a GPU in a browser, since no Chromium is on the PATH");

/** What is trained here and there. */
const TRAINING = `
  import { adam, dense, reference, sequential } from "chainrule";
  import { webgpu } from "chainrule/webgpu";
  export async function train(onGpu) {
    const backend = onGpu ? await webgpu() : reference("float32");
    const model = sequential({ input: [6], seed: 3, backend }, [dense(8, { activation: "tanh" }), dense(3)]);
    const x = Float32Array.from({ length: 48 * 6 }, (_, i) => Math.sin(i * i));
    const y = Int32Array.from({ length: 48 }, (_, i) => i % 3);
    const options = { loss: "crossEntropy", optimizer: adam({ learningRate: 0.02 }), epochs: 3, batchSize: 16, onWarning: false };
    const history = await model.fit({ x, y }, options);
    const kernel = await model.weightAsync("dense_1.kernel");
    const { engine } = model;
    model.close();
    return { engine, losses: history.map(({ loss }) => loss), kernel: [...kernel] };
  }`;

interface Trained {
  readonly engine: string;
  readonly losses: readonly number[];
  readonly kernel: readonly number[];
}

async function bundle(contents: string, platform: "browser" | "node"): Promise<string> {
  const source = (name: string): string => new URL(`../../src/${name}`, import.meta.url).pathname;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    alias: { chainrule: source("index.ts"), "chainrule/webgpu": source("webgpu/index.ts") },
    bundle: true,
    write: false,
    platform,
    format: "esm",
  });
  return outputFiles[0].text;
}

describe.skipIf(executablePath === undefined)("the GPU of a browser", () => {
  let server: Server;
  const browsers: Browser[] = [];

  beforeAll(async () => {
    const script = await bundle(`${TRAINING} globalThis.train = train;`, "browser");
    server = createServer((request, response) => {
      const isScript = request.url === "/script.js";
      response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
      response.end(isScript ? script : '<!doctype html><script type="module" src="/script.js"></script>');
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterAll(async () => {
    for (const browser of browsers) await browser.close();
    server?.close();
  });

  async function trainIn(args: readonly string[]): Promise<Trained | { error: string }> {
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", ...args] });
    browsers.push(browser);
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.waitForFunction("globalThis.train");
    return page.evaluate("train(true).catch((error) => ({ error: error.code + ': ' + error.message }))");
  }

  test("trains as Node's processor does", async () => {
    const flags = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"];
    const there = (await trainIn(flags)) as Trained;
    expect(there).not.toHaveProperty("error");
    expect(there.engine).toMatch(/^webgpu, /);
    const own = await bundle(TRAINING, "node");
    const { train } = (await import(`data:text/javascript,${encodeURIComponent(own)}`)) as {
      train(onGpu: boolean): Promise<Trained>;
    };
    const here = await train(false);
    for (const [i, loss] of here.losses.entries()) expect(there.losses[i]).toBeCloseTo(loss, 5);
    for (const [i, value] of here.kernel.entries()) expect(there.kernel[i]).toBeCloseTo(value, 4);
  });

  test("is missing with an error that says so", async () => {
    const answer = (await trainIn(["--disable-gpu", "--disable-features=WebGPU"])) as { error: string };
    expect(answer.error).toMatch(/^(no-gpu: No GPU was found|unsupported: This browser has no WebGPU)/);
  });
});
