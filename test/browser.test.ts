/**
 * The library in a real browser: a page that a bundler has built trains in a Worker, with helper threads where the page
 * is cross-origin isolated, and ends with the same bits as Node. Needs Chromium on the PATH; CI brings it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserName } from "./support/browser.ts";

const browser = browserName();

/** What is trained here and there: the engine without fused multiply-add, which not every V8 has. */
const TRAINING = `
  import { adam, conv2d, dense, flatten, sequential, wasm } from "chainrule";
  export async function train(threads) {
    const backend = wasm({ threads, relaxedSimd: false });
    const model = sequential({ input: [12, 12, 1], seed: 3, backend }, [
      conv2d(16, 3, { activation: "relu" }), flatten(), dense(64, { activation: "tanh" }), dense(4),
    ]);
    const count = 128;
    const x = Float32Array.from({ length: count * 144 }, (_, i) => Math.sin(i * i));
    const y = Int32Array.from({ length: count }, (_, i) => i % 4);
    const options = { loss: "crossEntropy", optimizer: adam(), epochs: 4, batchSize: 32, metrics: ["accuracy"] };
    const [last] = (await model.fit({ x, y }, options)).slice(-1);
    const bits = new Uint32Array(await crypto.subtle.digest("SHA-256", model.toBytes())).join();
    const { engine } = model;
    model.close();
    return { engine, loss: last.loss, bits };
  }`;

const WORKER = `${TRAINING}
  const page = await train(2);
  const error = await sequential({ input: [1] }, [dense(1)]).save("m.safetensors").catch(String);
  postMessage({ page, isolated: globalThis.crossOriginIsolated, error });`;

const PAGE = `<!doctype html><script type="module">
  const tell = (what) => fetch("/answer", { method: "POST", body: JSON.stringify(what) });
  const worker = new Worker("/worker.js", { type: "module" });
  worker.onmessage = ({ data }) => tell(data);
  worker.onerror = ({ message }) => tell({ failed: message });
</script>`;

async function bundle(contents: string, platform: "browser" | "node"): Promise<string> {
  const source = new URL("../src/index.ts", import.meta.url).pathname;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    alias: { chainrule: source },
    bundle: true,
    minify: true,
    write: false,
    platform,
    format: "esm",
  });
  return outputFiles[0].text;
}

interface Answer {
  readonly page: { engine: string; loss: number; bits: string };
  readonly isolated: boolean;
  readonly error: string;
}

if (browser === undefined) console.warn("skipped: training in a browser, since no Chromium is on the PATH");

describe.skipIf(browser === undefined)(`in ${browser}`, () => {
  let server: Server;
  let worker: string;
  let expected: Answer["page"];
  let answered: (answer: Answer) => void;
  let refused: (error: Error) => void;

  beforeAll(async () => {
    worker = await bundle(WORKER, "browser");
    const own = await bundle(TRAINING, "node");
    const { train } = (await import(`data:text/javascript,${encodeURIComponent(own)}`)) as {
      train(threads: number): Promise<Answer["page"]>;
    };
    expected = await train(1);
    server = createServer((request, response) => {
      // No code from text; helper threads begin as blobs. The page itself has an inline script.
      response.setHeader(
        "Content-Security-Policy",
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'unsafe-inline'; worker-src 'self' blob:",
      );
      const isolate = request.url?.startsWith("/isolated") || request.headers.referer?.includes("/isolated");
      if (isolate || request.url === "/worker.js") {
        response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
        response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
      }
      if (request.method === "POST") {
        let text = "";
        request.on("data", (piece: Buffer) => {
          text += piece;
        });
        request.on("end", () => {
          response.end();
          const answer = JSON.parse(text) as Answer | { failed: string };
          if ("failed" in answer) refused(new Error(answer.failed));
          else answered(answer);
        });
        return;
      }
      const isScript = request.url === "/worker.js";
      response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
      response.end(isScript ? worker : PAGE);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });

  afterAll(() => {
    server?.close();
  });

  async function visit(path: string): Promise<Answer> {
    const profile = mkdtempSync(join(tmpdir(), "chainrule-browser-"));
    const { port } = server.address() as AddressInfo;
    const answer = new Promise<Answer>((resolve, reject) => {
      [answered, refused] = [resolve, reject];
    });
    const args = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      `--user-data-dir=${profile}`,
    ];
    const child: ChildProcess = spawn(browser!, [...args, `http://127.0.0.1:${port}${path}`], {
      stdio: "ignore",
      detached: true,
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    try {
      return await Promise.race([
        answer,
        ended.then(() => {
          throw new Error(`${browser} ended without an answer`);
        }),
      ]);
    } finally {
      process.kill(-child.pid!, "SIGKILL"); // the browser's processes are a group
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  test("a cross-origin isolated page trains on two threads, with the bits of Node", async () => {
    const { page, isolated, error } = await visit("/isolated");
    expect(isolated).toBe(true);
    expect(page.engine).toBe("wasm, SIMD, 2 threads");
    expect(page.bits).toBe(expected.bits);
    expect(error).toMatch(
      /PlatformError: Files .* in Node only\. Elsewhere there are toBytes\(\) and fromBytes\(bytes\)/,
    );
  });

  test("any other page trains on one thread, says why, and has the same bits", async () => {
    const { page, isolated } = await visit("/plain");
    expect(isolated).toBe(false);
    expect(page.engine).toBe("wasm, SIMD, 1 thread (no shared memory: the page is not cross-origin isolated)");
    expect(page.bits).toBe(expected.bits);
    expect(page.loss).toBeCloseTo(expected.loss, 10);
  });
});
