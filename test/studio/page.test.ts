/**
 * The studio in a real browser, as a person uses it: own data in, network edited, trained, a weight clicked, back in time,
 * the model out. Needs Chromium on the PATH; CI brings it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adam, dense, fromBytes, load, normalize, sequential } from "chainrule";
import { decodeImage, moons, readTable, split, statistics } from "chainrule/data";
import { Recorder, showNumber } from "chainrule/explain";
import { type Browser, chromium, type Page } from "playwright-core";
import { build } from "vite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { studioServer } from "../../src/cli/studio/server.ts";
import { Scratch } from "../cli/command.ts";
import { browserOnPath } from "../support/browser.ts";

const executable = browserOnPath();
if (executable === undefined) console.warn("skipped: the studio in a browser, since no Chromium is on the PATH");

/** Minutes; CHAINRULE_SOAK=60 is the long form. */
const SOAK = Number(process.env.CHAINRULE_SOAK ?? 0.5);

vi.setConfig({ testTimeout: 120_000 });

const folder = mkdtempSync(join(tmpdir(), "chainrule-studio-page-"));
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** Flowers of nobody: three kinds that two of four lengths tell apart. */
const flowers = (): string => {
  let state = 7;
  const random = (): number => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  const rows = Array.from({ length: 180 }, (_, i) => {
    const kind = i % 3;
    const at = [4 + kind + random(), 3 - 0.4 * kind + random(), 1.5 + 1.7 * kind + random(), 0.3 + random()];
    return `${at.map((x) => x.toFixed(2)).join(",")},${["ash", "birch", "cedar"][kind]}`;
  });
  return `leaf,petal,stem,root,tree\n${rows.join("\n")}\n`;
};

describe.skipIf(executable === undefined)("the studio", () => {
  let server: Server;
  let browser: Browser;
  let page: Page;
  let address: string;
  const faults: string[] = [];

  beforeAll(async () => {
    const root = new URL("../../studio", import.meta.url).pathname;
    await build({ root, logLevel: "warn", build: { outDir: `${folder}/page`, emptyOutDir: true } });
    server = studioServer(`${folder}/page/`);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    browser = await chromium.launch({ executablePath: executable!, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  });

  afterAll(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(async () => {
    faults.length = 0;
    page = await open();
  });

  afterEach(async () => {
    await page.context().close();
    expect(faults).toEqual([]);
  });

  /** A page of its own, without what others have kept. */
  async function open({ path = "", width = 1440, height = 900, dark = false } = {}): Promise<Page> {
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: dark ? "dark" : "light",
      acceptDownloads: true,
    });
    const opened = await context.newPage();
    // Another test file runs beside this one, and the page trains on both of the smallest machine's cores.
    opened.setDefaultTimeout(60_000);
    opened.on("pageerror", (error) => faults.push(error.message));
    opened.on("console", (message) => {
      if (message.type() === "error") faults.push(message.text());
    });
    await opened.goto(`${address}${path}`);
    await opened.getByTestId("play").waitFor();
    await opened.locator(".unit, .cells").first().waitFor({ state: "attached" });
    return opened;
  }

  const number = async (id: string): Promise<number> =>
    Number((await page.getByTestId(id).textContent())!.replaceAll(",", ""));
  const drop = (name: string, content: string | Buffer): Promise<void> =>
    page
      .getByTestId("file")
      .setInputFiles({ name, mimeType: "application/octet-stream", buffer: Buffer.from(content) });
  const stepTo = async (moment: number): Promise<void> => {
    await page.getByLabel("Step that is shown").evaluate((input: HTMLInputElement, value) => {
      input.value = String(value);
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }, moment);
    await page.waitForFunction(
      (wanted) => document.querySelector("[data-testid=moment]")?.textContent?.replaceAll(",", "") === String(wanted),
      moment,
    );
  };

  test("own data, an edited network, training, a weight's numbers, back in time, the model out", async () => {
    await drop("trees.csv", flowers());
    await page.getByText("trees.csv: 144 rows to train, 36 held out; 3 classes.").waitFor();
    // It trains at once; the network is then edited, and the run begins anew.
    await page.waitForFunction(() => Number(document.querySelector("[data-testid=done]")?.textContent) > 20);
    await page.getByTestId("play").click();
    await page.getByLabel("units", { exact: true }).first().fill("5");
    await page.getByLabel("units", { exact: true }).first().press("Enter");
    await page.getByRole("button", { name: "Remove layer 2" }).click();
    await page.getByText("43 weights in all").waitFor();
    await page.waitForFunction(() => document.querySelector("[data-testid=done]")?.textContent === "0");
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowRight");
    await page.waitForFunction(() => document.querySelector("[data-testid=moment]")?.textContent === "3");

    // The same run, here: its fourth step is the one that the page explains.
    const data = await readTable(flowers(), { target: "tree" });
    const [train, held] = split(data, [0.8, 0.2], { seed: 7 });
    const model = sequential({ input: [4], seed: 7 }, [
      normalize(statistics(train)),
      dense(5, { activation: "tanh" }),
      dense(3),
    ]);
    const recorder = new Recorder({ everyMilliseconds: 0 });
    const options = { loss: "crossEntropy", optimizer: adam({ learningRate: 0.01 }), batchSize: 16 } as const;
    await model.fit(train, { ...options, epochs: 1, observer: recorder, onWarning: false });
    const expected = (await recorder.explain(4)).weight("dense_1.kernel", [2, 4]);
    const then = await recorder.modelAt(3);

    await page
      .locator(".unit", { hasNot: page.locator(":disabled") })
      .and(page.locator('[aria-label^="dense_1, unit 4"]'))
      .click();
    await page.getByRole("heading", { name: "dense_1, unit 4" }).waitFor();
    await page.locator(".right table button", { hasText: "kernel" }).first().waitFor();
    await page
      .locator(".right tbody tr")
      .filter({ has: page.locator("math", { hasText: /2,\s*4/ }) })
      .getByRole("button")
      .first()
      .click();
    await page.getByTestId("subject").filter({ hasText: "dense_1.kernel[2, 4]" }).waitFor();
    await page.getByRole("button", { name: "the batch" }).click();
    await expect.poll(() => page.getByTestId("gradient").textContent()).toBe(showNumber(expected.chain.gradient, 4));
    expect(await page.getByTestId("weight-value").textContent()).toBe(showNumber(expected.weight.value, 4));
    expect(await page.getByTestId("weight-after").textContent()).toBe(showNumber(expected.update!.after, 4));
    expect(then.weight("dense_1.kernel")[2 * 5 + 4]).toBe(Math.fround(expected.weight.value));

    // Some epochs; a hundred steps back, and forward again: the same bits.
    for (let i = 0; i < 20; i++) await page.getByRole("button", { name: "One epoch forward" }).click();
    await page.waitForFunction(() => document.querySelector("[data-testid=moment]")?.textContent === "180");
    const saved = async (): Promise<Buffer> => {
      const [file] = await Promise.all([
        page.waitForEvent("download"),
        (async () => {
          await page.locator(".menu").evaluate((menu: HTMLDetailsElement) => {
            menu.open = true;
          });
          await page.getByTestId("save").click();
        })(),
      ]);
      return readFileSync((await file.path())!);
    };
    const now = await saved();
    const [picture] = await Promise.all([page.waitForEvent("download"), page.getByTestId("picture").click()]);
    const png = await decodeImage(readFileSync((await picture.path())!));
    expect(png.width).toBeGreaterThan(400);
    expect(new Set(png.data).size).toBeGreaterThan(50);
    await stepTo(80);
    expect((await saved()).equals(now)).toBe(false);
    await stepTo(180);
    expect((await saved()).equals(now)).toBe(true);

    // The command says of the model what the page says of it.
    const shown = await page.getByTestId("held-out-score").textContent();
    writeFileSync(`${folder}/model.safetensors`, now);
    const rows = [...held.y].map((label, i) =>
      [...held.x.subarray(i * 4, i * 4 + 4)]
        .map((x) => Number(x.toFixed(2)))
        .join(",")
        .concat(`,${held.classes![label]}`),
    );
    writeFileSync(`${folder}/held.csv`, `leaf,petal,stem,root,tree\n${rows.join("\n")}\n`);
    const events = await new Scratch().json(["evaluate", `${folder}/model.safetensors`, `${folder}/held.csv`]);
    const scores = events.at(-1)!.test as { accuracy: number };
    expect(`${(100 * scores.accuracy).toFixed(1)} %`).toBe(shown);
    expect((await load(`${folder}/model.safetensors`)).weight("dense_2.bias")).toEqual(
      fromBytes(now).weight("dense_2.bias"),
    );
    recorder.close();
  });

  test("a reload brings the run back, and a link opens it in a fresh browser", async () => {
    await page.getByLabel("seed").fill("11");
    await page.getByLabel("seed").press("Enter");
    await page.getByRole("button", { name: "Spirals", exact: true }).click();
    await page.getByText("Spirals: 240 rows").waitFor();
    await page.reload();
    await page.getByText("Spirals: 240 rows").waitFor();
    expect(await page.getByLabel("seed").inputValue()).toBe("11");
    await drop("trees.csv", flowers());
    await page.getByText("trees.csv: 144 rows").waitFor();
    await page.reload();
    await page.getByText("trees.csv: 144 rows").waitFor();
    const spec = {
      data: { kind: "toy", name: "circles", count: 100, noise: 0.1, seed: 3 },
      heldOut: 0.1,
      layers: [],
      optimizer: { name: "sgd", learningRate: 0.1, weightDecay: 0 },
      batchSize: 10,
      seed: 5,
    };
    const other = await open({ path: `#run=${encodeURIComponent(JSON.stringify(spec))}` });
    await other.getByText("Circles: 90 rows to train, 10 held out").waitFor();
    // What is edited after a link was opened is what comes back.
    await other.getByRole("button", { name: "Moons", exact: true }).click();
    await other.getByText("Moons: 270 rows").waitFor();
    await other.reload();
    await other.getByText("Moons: 270 rows").waitFor();
    await other.context().close();
  });

  test("what cannot be is said at its place, and nothing is lost", async () => {
    await page.getByRole("button", { name: "One step forward" }).click();
    await page.waitForFunction(() => document.querySelector("[data-testid=done]")?.textContent === "1");
    await drop("report.pdf", "%PDF-1.7 …");
    await page.getByRole("alert").filter({ hasText: "report.pdf is a PDF document. Wanted is a table" }).waitFor();
    expect(await number("done")).toBe(1);
    await drop("empty.csv", "");
    await page.getByRole("alert").filter({ hasText: "empty.csv is empty" }).waitFor();
    await page.getByRole("button", { name: "close" }).click();
    expect(await page.getByRole("alert").count()).toBe(0);
    // A rate that makes it diverge.
    await page.getByRole("button", { name: "Begin anew" }).click();
    await page.locator(".presets select").selectOption({ index: 7 });
    await page.getByText("Moons: 36 rows to train").waitFor();
    await page.getByLabel("optimiser").selectOption("sgd");
    await page.getByLabel("learning rate", { exact: true }).fill("1e38");
    await page.getByLabel("learning rate", { exact: true }).press("Enter");
    await page.getByTestId("play").click();
    await page.getByRole("alert").filter({ hasText: "Training stopped at step" }).waitFor();
    await page.getByRole("button", { name: "a tenth of the learning rate" }).click();
    await page.waitForFunction(() => document.querySelectorAll("[role=alert]").length === 0);
  });

  test("a number is changed by hand, and put back; the browser's back goes through subjects", async () => {
    await page.locator('[aria-label^="dense_1, unit 0"]').click();
    await page.getByRole("heading", { name: "dense_1, unit 0" }).waitFor();
    await page.locator('[aria-label^="dense_2, unit 1"]').click();
    await page.getByRole("heading", { name: "dense_2, unit 1" }).waitFor();
    const before = await page.locator('[aria-label^="dense_2, unit 1"]').getAttribute("aria-label");
    await page.getByLabel("x0", { exact: true }).fill("3");
    await page.getByLabel("x0", { exact: true }).press("Enter");
    await page.getByText("changed by hand").first().waitFor();
    expect(await page.locator('[aria-label^="dense_2, unit 1"]').getAttribute("aria-label")).not.toBe(before);
    await page.getByRole("button", { name: "put back" }).first().click();
    await expect.poll(() => page.locator('[aria-label^="dense_2, unit 1"]').getAttribute("aria-label")).toBe(before);
    await page.goBack();
    await page.getByRole("heading", { name: "dense_1, unit 0" }).waitFor();
  });

  test("rows and results: the confusion matrix leads to the very rows", async () => {
    await page.getByLabel("Speed").selectOption("full");
    await page.getByTestId("play").click();
    await page.waitForFunction(
      () => Number(document.querySelector("[data-testid=done]")?.textContent?.replaceAll(",", "")) > 300,
    );
    await page.getByTestId("play").click();
    await page.getByRole("button", { name: "training rows", exact: true }).click();
    const cells = page.locator(".confusion td button");
    await cells.first().waitFor();
    const counts = (await cells.allTextContents()).map(Number);
    expect(counts.reduce((a, b) => a + b, 0)).toBe(240);
    await page.locator(".worst button").first().click();
    const worst = /row (\d+)/.exec((await page.locator(".worst button").first().textContent())!)![1];
    await page.getByText(`Row ${worst}, truth`).waitFor();
  });

  const selected = (id: string, value: string) => page.getByTestId(id).selectOption(value);

  test("a step op by op and row by row, forward and back, over the ends of a step", async () => {
    const op = page.getByTestId("op").locator("strong");
    const forward = page.getByRole("button", { name: "One step forward" });
    const back = page.getByRole("button", { name: "One step back" });
    await selected("stride", "op");
    await forward.click();
    await op.filter({ hasText: /^Op 1 of \d+$/ }).waitFor();
    const count = Number(/of (\d+)/.exec((await op.textContent())!)![1]);
    await forward.click();
    await op.filter({ hasText: `Op 2 of ${count}` }).waitFor();
    await back.click();
    await back.click();
    // Nothing is before the first op of the first step.
    await op.filter({ hasText: `Op 1 of ${count}` }).waitFor();
    expect(await number("moment")).toBe(0);
    for (let i = 0; i < count - 1; i++) await forward.click();
    await op.filter({ hasText: `Op ${count} of ${count}` }).waitFor();
    await page.getByTestId("op").filter({ hasText: "update" }).waitFor();
    await forward.click();
    await expect.poll(() => number("moment")).toBe(1);
    await op.filter({ hasText: `Op 1 of ${count}` }).waitFor();
    await back.click();
    await op.filter({ hasText: `Op ${count} of ${count}` }).waitFor();
    expect(await number("moment")).toBe(0);

    // Sixteen rows make the batch: those that `explain` names, in their order.
    await page.getByRole("button", { name: "Begin anew" }).click();
    await page.getByTestId("op").waitFor({ state: "detached" });
    const [train] = split(moons({ count: 300, noise: 0.12, seed: 1 }), [0.8, 0.2], { seed: 7 });
    const model = sequential({ input: [2], seed: 7 }, [dense(2)]);
    const recorder = new Recorder({ everyMilliseconds: 0 });
    await model.fit(train, { loss: "crossEntropy", batchSize: 16, epochs: 1, observer: recorder, onWarning: false });
    const { rows } = await recorder.explain(1);
    const next = (await recorder.explain(2)).rows[0];
    recorder.close();
    await selected("stride", "row");
    await forward.click();
    for (const row of rows.slice(rows.includes(0) ? rows.indexOf(0) + 1 : 0)) {
      await page.getByText(`Row ${row + 1}, truth`).waitFor();
      await forward.click();
    }
    await expect.poll(() => number("moment")).toBe(1);
    await page.getByText(`Row ${next + 1}, truth`).waitFor();
  });

  test("a schedule and a penalty: the run begins with them, and the program says them", async () => {
    await page.getByLabel("schedule").selectOption("cosineDecay");
    await page.getByText("cosineDecay({ learningRate: 0.01, steps: 2000 })").waitFor();
    await page.getByText("more", { exact: true }).first().click();
    await page.getByLabel("l2 penalty").first().fill("0.001");
    await page.getByLabel("l2 penalty").first().press("Enter");
    await page.getByText('dense(8, { activation: "tanh", l2: 0.001 })').waitFor();
    await page.getByLabel("over steps").fill("100");
    await page.getByLabel("over steps").press("Enter");
    await page.getByText("steps: 100").waitFor();
    await selected("stride", "epoch");
    for (let i = 0; i < 8; i++) await page.getByRole("button", { name: "One step forward" }).click();
    await page.waitForFunction(() => document.querySelector("[data-testid=moment]")?.textContent === "120");
    // Half a cosine has come down to 0 after 100 steps.
    expect(Number(await page.getByLabel("learning rate", { exact: true }).inputValue())).toBe(0);
  });

  test("digits: one drawn by hand goes through the network, filters and distributions are shown, the picture as SVG", async () => {
    await page
      .locator(".presets select")
      .selectOption({ label: "Digits, convolutions: A small convolutional network: filters, feature maps." });
    await page.getByRole("heading", { name: "Filters" }).waitFor();
    await expect
      .poll(() => page.getByRole("button", { name: /conv2d_1\.kernel, channel 0, filter \d/ }).count())
      .toBe(8);
    const pad = page.getByLabel("A picture for the network");
    await pad.scrollIntoViewIfNeeded();
    const box = (await pad.boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height - 20, { steps: 5 });
    await page.mouse.up();
    await page.getByText("changed by hand").first().waitFor();
    await page.getByRole("button", { name: "wipe, put back" }).click();
    await expect.poll(() => page.getByText("changed by hand").count()).toBe(0);
    await page
      .getByRole("button", { name: /conv2d_1\.kernel, channel 0, filter 3/ })
      .click({ position: { x: 3, y: 3 } });
    await page.getByTestId("subject").filter({ hasText: "conv2d_1.kernel[0, 0, 0, 3]" }).waitFor();
    await page.getByTestId("gradient").waitFor();
    await page.getByTestId("play").click();
    await page.waitForFunction(() => Number(document.querySelector("[data-testid=done]")?.textContent) > 20);
    await page.getByText("Numbers over time").click();
    await page.getByRole("img", { name: /^weights conv2d_1\.kernel from step/ }).waitFor();
    await page.getByRole("button", { name: "gradients", exact: true }).last().click();
    await page.getByRole("img", { name: /^gradients dense_1\.kernel from step/ }).waitFor();
    await page.getByTestId("play").click();
    await page.locator(".menu").evaluate((menu: HTMLDetailsElement) => {
      menu.open = true;
    });
    const [picture] = await Promise.all([page.waitForEvent("download"), page.getByTestId("svg").click()]);
    const svg = readFileSync((await picture.path())!, "utf8");
    expect(svg).toMatch(/^<svg xmlns/);
    expect(svg.match(/<image /g)!.length).toBeGreaterThan(20);
    expect(svg).toContain(">conv2d_1</text>");
  });

  test("pictures made in the page: classes drawn by hand are trained on like a folder of pictures", async () => {
    await page.getByRole("button", { name: "Make pictures" }).click();
    const pad = page.getByLabel("A picture to learn");
    await pad.waitFor();
    const box = (await pad.boundingBox())!;
    for (const [label, upright] of [
      [1, true],
      [2, false],
    ] as const)
      for (let i = 0; i < 4; i++) {
        const [x, y] = [box.x + box.width * (0.35 + 0.1 * i), box.y + box.height * (0.35 + 0.1 * i)];
        await page.mouse.move(upright ? x : box.x + 15, upright ? box.y + 15 : y);
        await page.mouse.down();
        await page.mouse.move(upright ? x : box.x + box.width - 15, upright ? box.y + box.height - 15 : y, {
          steps: 4,
        });
        await page.mouse.up();
        await page
          .getByRole("button", { name: "it is this" })
          .nth(label - 1)
          .click();
        await expect.poll(() => page.getByRole("button", { name: "it is this" }).first().isDisabled()).toBe(true);
      }
    await page.getByRole("button", { name: "learn them" }).click();
    await page.getByText("my-pictures.zip: 6 rows to train, 2 held out; 2 classes.").waitFor();
    await page.waitForFunction(() => Number(document.querySelector("[data-testid=done]")?.textContent) > 60);
    await expect.poll(() => page.getByTestId("score").textContent()).toBe("100.0 %");
    await page.reload();
    await page.getByText("my-pictures.zip: 6 rows to train").waitFor();
  });

  test(
    `${SOAK} minutes of training at full speed with a unit explained: memory does not grow`,
    async () => {
      const own = await chromium.launch({
        executablePath: executable!,
        args: ["--no-sandbox", "--disable-dev-shm-usage", "--enable-blink-features=ForceEagerMeasureMemory"],
      });
      const long = await own.newPage({ viewport: { width: 1440, height: 900 } });
      await long.goto(address);
      await long.locator('[aria-label^="dense_1, unit 0"]').click();
      await long.getByText("Numbers over time").click();
      await long.getByTestId("speed").selectOption("full");
      await long.getByTestId("play").click();
      /** MiB of the page and its Worker, after a collection. */
      const memory = (): Promise<number> =>
        long.evaluate(
          async () =>
            (
              await (
                performance as never as { measureUserAgentSpecificMemory(): Promise<{ bytes: number }> }
              ).measureUserAgentSpecificMemory()
            ).bytes /
            2 ** 20,
        );
      const points: (readonly [minutes: number, size: number])[] = [];
      const begun = performance.now();
      const minutes = (): number => (performance.now() - begun) / 60_000;
      while (minutes() < SOAK) {
        await new Promise((resolve) => setTimeout(resolve, (SOAK * 60_000) / 12));
        points.push([minutes(), await memory()]);
      }
      const done = await long.getByTestId("done").textContent();
      await own.close();
      // The recorder fills its room and curves their points at first; from then on the slope is what counts.
      const late = points.filter(([at]) => at > SOAK / 2);
      const [mt, mm] = [0, 1].map((k) => late.reduce((sum, point) => sum + point[k], 0) / late.length);
      const slope =
        late.reduce((sum, [t, m]) => sum + (t - mt) * (m - mm), 0) / late.reduce((sum, [t]) => sum + (t - mt) ** 2, 0);
      console.log(
        `${done} steps; MiB: ${points.map(([, m]) => m.toFixed(1)).join(" ")}; slope ${slope.toFixed(3)} MiB a minute`,
      );
      // In half a minute the collector alone moves some MiB: what is compared then is the least of both ends.
      const least = (some: typeof points): number => Math.min(...some.map(([, m]) => m));
      if (SOAK < 5) expect(least(points.slice(-4)) - least(points.slice(0, 4))).toBeLessThan(5);
      else expect(slope).toBeLessThan(0.1);
    },
    (SOAK + 2) * 60_000,
  );

  test("the camera: pictures are taken while a class's button is held", async () => {
    const own = await chromium.launch({
      executablePath: executable!,
      args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
    });
    const context = await own.newContext({ permissions: ["camera"] });
    const camera = await context.newPage();
    await camera.goto(address);
    await camera.getByRole("button", { name: "Make pictures" }).click();
    await camera.getByRole("button", { name: "camera" }).click();
    await camera.waitForFunction(() => (document.querySelector("video")?.videoWidth ?? 0) > 0);
    const take = camera.getByRole("button", { name: "take", exact: true }).first();
    await take.hover();
    await camera.mouse.down();
    await expect.poll(() => camera.locator(".strip").first().locator("img").count()).toBeGreaterThan(2);
    await camera.mouse.up();
    await own.close();
    // Without a camera it is said, and one can still draw.
    await page.getByRole("button", { name: "Make pictures" }).click();
    await page.getByRole("button", { name: "camera" }).click();
    await page.getByRole("alert").filter({ hasText: "The camera cannot be used" }).waitFor();
  });

  test("a host that sends no headers: a service worker isolates the page, and it has its threads", async () => {
    const plain = createServer((request, response) => {
      const name = request.url === "/" ? "/index.html" : request.url!;
      const types = { html: "text/html", js: "text/javascript", css: "text/css" } as Record<string, string>;
      response.setHeader("Content-Type", types[name.split(".").at(-1)!] ?? "application/octet-stream");
      try {
        response.end(readFileSync(`${folder}/page${name}`));
      } catch {
        response.statusCode = 404;
        response.end();
      }
    });
    await new Promise<void>((listening) => plain.listen(0, "127.0.0.1", listening));
    const context = await browser.newContext();
    const own = await context.newPage();
    await own.goto(`http://127.0.0.1:${(plain.address() as AddressInfo).port}/`);
    await own.getByText(/Engine: wasm, .*2 threads/).waitFor();
    expect(await own.evaluate(() => crossOriginIsolated)).toBe(true);
    await context.close();
    plain.closeAllConnections();
    plain.close();
  });

  test("each lesson from start to end: a number is predicted before it is shown", async () => {
    const all = page.locator(".lessons li button");
    await page.getByRole("button", { name: "Lessons" }).click();
    await all.first().waitFor();
    const titles = await all.allTextContents();
    expect(titles.length).toBeGreaterThanOrEqual(12);
    await page.getByRole("button", { name: "Lessons" }).click();
    for (const title of titles) {
      await page.getByRole("button", { name: "Lessons" }).click();
      await page.getByRole("button", { name: title, exact: true }).click();
      let asked = 0;
      for (;;) {
        await page.locator('.lesson[aria-busy="false"]').waitFor();
        const next = page.getByTestId("next").or(page.getByTestId("finish"));
        const answer = page.getByTestId("answer");
        if ((await answer.count()) > 0) {
          expect(await next.isDisabled(), title).toBe(true);
          await answer.fill("0.5");
          await answer.press("Enter");
          expect(await page.getByTestId("verdict").textContent(), title).toMatch(/0\.5, the engine has −?\d/);
          asked++;
        }
        expect(await page.locator(".lesson").textContent(), title).not.toMatch(/[{}…]|NaN|undefined/);
        const isLast = (await page.getByTestId("finish").count()) > 0;
        await next.click();
        if (isLast) break;
      }
      expect(asked, title).toBeGreaterThanOrEqual(2);
      expect(await page.locator(".lesson").count()).toBe(0);
    }
  }, 300_000);

  test("a lesson that the address names begins with the page, and keeps to its row", async () => {
    const own = await open({ path: "?lesson=04-chain-rule" });
    for (let step = 0; step < 3; step++) {
      await own.locator('.lesson[aria-busy="false"]').waitFor();
      await own.locator(".lesson h3, .lesson h2").first().waitFor();
      await own.getByText("Row 2, truth 1").first().waitFor();
      const answer = own.getByTestId("answer");
      if ((await answer.count()) > 0) {
        await answer.fill("1");
        await answer.press("Enter");
      }
      await own.getByTestId("next").click();
    }
    await own.context().close();
  });

  test.each([
    [360, 740, false, "picture"],
    [360, 740, true, "explain"],
    [800, 900, false, "data"],
    [1440, 900, false, "all"],
    [1440, 900, true, "all"],
    [2560, 1300, false, "all"],
  ])("%i × %i pixels, dark %s, %s: nothing spills over, and axe finds nothing", async (width, height, dark, tab) => {
    const own = await open({ width, height, dark });
    if (tab === "explain") {
      await own.locator('[aria-label^="dense_1, unit 0"]').click();
      await own.getByRole("heading", { name: "dense_1, unit 0" }).waitFor();
    } else if (tab === "data") await own.getByRole("tab", { name: "Data" }).click();
    else if (tab === "all") {
      await own.getByText("The first weight").click();
      await own.getByTestId("gradient").waitFor();
    }
    expect(await own.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    await own.evaluate(readFileSync(axe, "utf8"));
    const { violations } = await own.evaluate(() =>
      (
        globalThis as unknown as {
          axe: { run(): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }> };
        }
      ).axe.run(),
    );
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`)).toEqual([]);
    await own.context().close();
  });
});
