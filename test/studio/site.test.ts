/** The site's pages: their links lead somewhere, and programs that the studio can run are opened there as the same run. */
import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { expect, test } from "vitest";
import { documentPages } from "../../site/pages.ts";
import { studioLink } from "../../site/studio-link.ts";
import type { Spec } from "../../studio/src/lab/spec.ts";

const root = new URL("../../", import.meta.url);

const specOf = (link: string): Spec => JSON.parse(decodeURIComponent(link.split("#run=")[1]));

test("a program on a data set of the studio is a run of it: its rows, layers, optimiser, seed", () => {
  const code = `
const [train, test] = split(moons({ count: 200, noise: 0.1 }), [0.75, 0.25], { seed: 3 });
const model = sequential({ input: [2], seed: 5 }, [
  normalize(statistics(train)),
  dense(12, { activation: "relu", l2: 1e-4 }),
  dropout(0.1),
  dense(2),
]);
await model.fit(train, { loss: "crossEntropy", optimizer: adam({ learningRate: 0.02 }), batchSize: 8, epochs: 40 });
`;
  expect(specOf(studioLink(code)!)).toEqual({
    data: { kind: "toy", name: "moons", count: 200, noise: 0.1, seed: 1 },
    heldOut: 0.25,
    layers: [
      { kind: "dense", config: { units: 12, activation: "relu", l2: 1e-4 } },
      { kind: "dropout", config: { rate: 0.1 } },
    ],
    optimizer: { name: "adam", learningRate: 0.02, weightDecay: 0 },
    batchSize: 8,
    seed: 5,
  });
  expect(
    studioLink("const model = sequential({ input: [2] }, [dense(2)]);\nawait model.fit({ x, y });"),
  ).toBeUndefined();
  expect(studioLink(code.replace("dropout(0.1)", "myOwnLayer()"))).toBeUndefined();
});

test("the guide's programs are among them", () => {
  const first = readFileSync(new URL("docs/guide/1-first-network.md", root), "utf8");
  const programs = [...first.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code]) => studioLink(code));
  expect(programs.filter((link) => link !== undefined).length).toBeGreaterThanOrEqual(1);
});

test("every link of a page to another page leads to one", () => {
  const pages = new Map(documentPages(root));
  expect(pages.size).toBeGreaterThan(12);
  const lost: string[] = [];
  for (const [path, text] of pages)
    for (const [, target] of text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/\]\((\.[^)#\s]*)/g)) {
      const page = posix.join(posix.dirname(path), target);
      if (!/\.(png|svg)$|^(studio|lessons)\/$/.test(page) && !pages.has(page)) lost.push(`${path}: ${target}`);
    }
  expect(lost).toEqual([]);
});
