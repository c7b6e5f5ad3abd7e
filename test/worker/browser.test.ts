/**
 * A model in a real Worker of a real browser: as Vite builds a page, and as plain modules. It trains with the bits that it
 * has in Node while the page stays free. Needs Chromium on the PATH; CI brings it.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { adam, dense, sequential, wasm } from "chainrule";
import { moons } from "chainrule/data";
import { build as bundle } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { studioServer } from "../../src/cli/studio/server.ts";
import { browserOnPath } from "../support/browser.ts";

const executable = browserOnPath();
if (executable === undefined) console.warn("skipped: a model in a browser's Worker, since no Chromium is on the PATH");

const SRC = resolve(import.meta.dirname, "../../src");
const folder = mkdtempSync(join(tmpdir(), "chainrule-worker-"));

/** What a user writes; the worker needs no further line. */
const PAGE = `
  import { adam, dense, sequential } from "chainrule";
  import { moons } from "chainrule/data";
  import { inWorker } from "chainrule/worker";
  window.train = async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 4);
    const model = sequential({ input: [2], seed: 3 }, [dense(64, { activation: "tanh" }), dense(64, { activation: "tanh" }), dense(2)]);
    const there = await inWorker(model, { engine: { threads: 2, relaxedSimd: false } });
    const losses = [];
    for await (const { loss } of there.fit(moons({ count: 2000 }), { loss: "crossEntropy", optimizer: adam(), epochs: 6 })) losses.push(loss);
    clearInterval(timer);
    const failed = await there.predict([[NaN, 1]]).catch((error) => error.name + " " + error.code);
    const bits = new Uint32Array(await crypto.subtle.digest("SHA-256", await there.toBytes())).join();
    there.close();
    const closed = await there.summary().catch((error) => error.message);
    return { engine: there.engine, losses, turns, failed, bits, closed };
  };
  window.ready = true;`;

interface Answer {
  readonly engine: string;
  readonly losses: readonly number[];
  readonly turns: number;
  readonly failed: string;
  readonly bits: string;
  readonly closed: string;
}

async function expected(): Promise<{ losses: number[]; bits: string }> {
  const backend = wasm({ threads: 1, relaxedSimd: false });
  const model = sequential({ input: [2], seed: 3, backend }, [
    dense(64, { activation: "tanh" }),
    dense(64, { activation: "tanh" }),
    dense(2),
  ]);
  const history = await model.fit(moons({ count: 2000 }), { loss: "crossEntropy", optimizer: adam(), epochs: 6 });
  const digest = await crypto.subtle.digest("SHA-256", model.toBytes() as Uint8Array<ArrayBuffer>);
  return { losses: history.map(({ loss }) => loss), bits: new Uint32Array(digest).join() };
}

describe.skipIf(executable === undefined)("a model in a Worker of the browser", () => {
  let browser: Browser;
  const servers: Server[] = [];

  /** The library as it is published: each entry a file, the worker's beside them. */
  const library = join(folder, "library");

  beforeAll(async () => {
    await bundle({
      entryPoints: {
        index: `${SRC}/index.ts`,
        data: `${SRC}/data/index.ts`,
        worker: `${SRC}/worker/index.ts`,
        main: `${SRC}/worker/main.ts`,
      },
      outdir: library,
      bundle: true,
      splitting: true,
      format: "esm",
      external: ["node:*"],
    });
    browser = await chromium.launch({ executablePath: executable!, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  });
  afterAll(async () => {
    await browser?.close();
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    rmSync(folder, { recursive: true, force: true });
  });

  async function visit(built: string): Promise<Answer> {
    // The policy is the studio's: no code from text, workers from here.
    const server = studioServer(`${built}/`);
    servers.push(server);
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.waitForFunction("window.ready");
    return page.evaluate("window.train()");
  }

  const check = async (answer: Answer): Promise<void> => {
    const { losses, bits } = await expected();
    expect(answer.engine).toBe("wasm, SIMD, 2 threads");
    expect(answer.losses).toEqual(losses);
    expect(answer.bits).toBe(bits);
    expect(answer.turns).toBeGreaterThan(3);
    expect(answer.failed).toBe("DataError bad-data");
    expect(answer.closed).toBe("The worker was closed.");
  };

  test("as Vite builds it", async () => {
    const root = join(folder, "vite");
    mkdirSync(root);
    writeFileSync(join(root, "index.html"), '<!doctype html><script type="module" src="./page.ts"></script>');
    writeFileSync(join(root, "page.ts"), PAGE);
    await build({
      root,
      configFile: false,
      logLevel: "warn",
      resolve: {
        alias: [
          { find: /^chainrule$/, replacement: `${library}/index.js` },
          { find: /^chainrule\/(data|worker)$/, replacement: `${library}/$1.js` },
        ],
      },
      worker: { format: "es" },
      build: { outDir: join(root, "out"), modulePreload: { polyfill: false }, target: "es2022" },
    });
    await check(await visit(join(root, "out")));
  });

  test("as plain modules", async () => {
    const root = join(folder, "plain");
    cpSync(library, root, { recursive: true });
    const plain = PAGE.replace(/"chainrule(\/\w+)?"/g, (_, entry = "/index") => `".${entry}.js"`);
    writeFileSync(join(root, "page.js"), plain);
    writeFileSync(join(root, "index.html"), '<!doctype html><script type="module" src="./page.js"></script>');
    await check(await visit(root));
  });
});
