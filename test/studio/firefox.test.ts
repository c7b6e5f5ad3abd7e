/** The studio's main path in Firefox: own data in, trained on threads, a weight's numbers, a step back. CI brings Firefox. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adam, dense, normalize, sequential } from "chainrule";
import { readTable, split, statistics } from "chainrule/data";
import { explain } from "chainrule/explain";
import puppeteer, { type Browser, type ElementHandle, type Page } from "puppeteer-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { studioServer } from "../../src/cli/studio/server.ts";

const executable = ["firefox-esr", "firefox"].flatMap((name) => {
  try {
    return [execFileSync("which", [name], { encoding: "utf8" }).trim()];
  } catch {
    return [];
  }
})[0];
if (executable === undefined) console.warn("skipped: the studio in Firefox, since no Firefox is on the PATH");

/** Rows of two kinds of which the sum of two numbers decides. */
const table = `left,right,kind\n${Array.from({ length: 60 }, (_, i) => {
  const [a, b] = [(i * 7) % 13, (i * 5) % 11];
  return `${a},${b},${a + b > 11 ? "many" : "few"}`;
}).join("\n")}\n`;

describe.skipIf(executable === undefined)("the studio in Firefox", () => {
  const folder = mkdtempSync(join(tmpdir(), "chainrule-firefox-"));
  let server: Server;
  let browser: Browser;
  let page: Page;
  const faults: string[] = [];

  beforeAll(async () => {
    const root = new URL("../../studio", import.meta.url).pathname;
    await build({ root, logLevel: "warn", build: { outDir: `${folder}/page`, emptyOutDir: true } });
    server = studioServer(`${folder}/page/`);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    browser = await puppeteer.launch({ browser: "firefox", executablePath: executable, headless: true });
    page = await browser.newPage();
    page.on("pageerror", (error) => faults.push(String(error)));
    await page.setViewport({ width: 1440, height: 900 });
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  }, 120_000);

  afterAll(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const says = (text: string): Promise<unknown> =>
    page.waitForFunction((wanted: string) => document.body.innerText.includes(wanted), { timeout: 60_000 }, text);
  const click = async (selector: string): Promise<void> => (await page.waitForSelector(selector))!.click();
  const textOf = (id: string): Promise<string> =>
    page.$eval(`[data-testid=${id}]`, (element) => element.textContent ?? "");

  test("own data, training on threads, a weight's numbers as `explain` has them, back and forward", async () => {
    writeFileSync(`${folder}/kinds.csv`, table);
    await page.waitForSelector("[data-testid=play]");
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await ((await page.waitForSelector("[data-testid=file]")) as ElementHandle<HTMLInputElement>).uploadFile(
      `${folder}/kinds.csv`,
    );
    await says("kinds.csv: 48 rows to train, 12 held out; 2 classes.");
    await says("2 threads");
    // What was dropped trains at once.
    await page.waitForFunction(() => Number(document.querySelector("[data-testid=done]")?.textContent) > 20);
    await click("[aria-label='Begin anew']");
    await page.waitForFunction(() => document.querySelector("[data-testid=done]")?.textContent === "0");
    await click('[aria-label^="dense_1, unit 3"]');
    await says("dense_1, unit 3");
    await page.evaluate(() => {
      for (const button of document.querySelectorAll<HTMLElement>(".right tbody button"))
        if (button.textContent?.includes("kernel")) return button.click();
    });
    await page.waitForSelector("[data-testid=gradient]");

    const data = await readTable(table, { target: "kind" });
    const [train] = split(data, [0.8, 0.2], { seed: 7 });
    const model = sequential({ input: [2], seed: 7 }, [
      normalize(statistics(train)),
      dense(8, { activation: "tanh" }),
      dense(6, { activation: "tanh" }),
      dense(1),
    ]);
    const first = { x: train.x.slice(0, 2), y: train.y.slice(0, 1) };
    const step = await explain(model, first, {
      loss: "binaryCrossEntropy",
      optimizer: adam({ learningRate: 0.01 }),
    });
    const subject = await textOf("subject");
    const [, name, index] = /^(.*)\[(.*)\]$/.exec(subject)!;
    const expected = step.weight(name, index.split(",").map(Number)).chain.gradient;
    const shown = Number(await page.$eval("[data-testid=gradient]", (element) => element.getAttribute("title")));
    expect(shown).toBeCloseTo(expected, 6);

    for (let i = 0; i < 4; i++) await click("[aria-label='One step forward']");
    await page.waitForFunction(() => document.querySelector("[data-testid=moment]")?.textContent === "4");
    const then = await textOf("weight-value");
    await click("[aria-label='One step back']");
    await page.waitForFunction(() => document.querySelector("[data-testid=moment]")?.textContent === "3");
    await click("[aria-label='One step forward']");
    await page.waitForFunction(() => document.querySelector("[data-testid=moment]")?.textContent === "4");
    await expect.poll(() => textOf("weight-value")).toBe(then);
    expect(faults).toEqual([]);
  }, 120_000);
});
