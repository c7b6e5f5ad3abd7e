/**
 * Every TypeScript snippet of the README and the guides, and every @example of a public comment, runs. Snippets are
 * written to files and imported like any module; names they use without declaring come from a short prelude.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import * as library from "chainrule";
import * as data from "chainrule/data";
import * as dataNode from "chainrule/data/node";
import * as explain from "chainrule/explain";
import * as interchange from "chainrule/interchange";
import * as webgpu from "chainrule/webgpu";
import * as worker from "chainrule/worker";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { findGpu } from "./support/gpu.ts";

const gpu = await findGpu();

const ROOT = resolve(import.meta.dirname, "..");
const OUT = join(import.meta.dirname, ".snippets");

interface Snippet {
  title: string;
  code: string;
}

const lineOf = (text: string, index: number): number => text.slice(0, index).split("\n").length;

function markdownSnippets(): Snippet[] {
  const guides = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" }).sort();
  const files = ["README.md", ...guides.map((name) => `docs/${name}`)];
  return files
    .filter((name) => name.endsWith(".md"))
    .flatMap((name) => {
      const text = readFileSync(join(ROOT, name), "utf8");
      return [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map((match) => ({
        title: `${name}:${lineOf(text, match.index)}`,
        code: match[1],
      }));
    });
}

function exampleSnippets(): Snippet[] {
  const files = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  return files.flatMap((name) => {
    const text = readFileSync(join(ROOT, "src", name), "utf8");
    return [...text.matchAll(/^ *\* @example\n([\s\S]*?)(?=^ *\*\/|^ *\* @)/gm)].map((match) => ({
      title: `src/${name}:${lineOf(text, match.index)}`,
      code: match[1].replace(/^ *\* ?/gm, ""),
    }));
  });
}

/** What an example may use without saying where it comes from. */
const PRELUDE: Record<string, string> = {
  model: 'const model = sequential({ input: [2], seed: 1 }, [dense(3, { activation: "tanh" }), dense(2)]);',
  x: "const x = [[0, 0], [0, 1], [1, 0], [1, 1]];",
  y: "const y = [0, 1, 1, 0];",
  data: "const data = { x: [[0, 0], [0, 1], [1, 0], [1, 1]], y: [0, 1, 1, 0] };",
  batches: "const batches = [{ x: [[0, 1]], y: [1] }, { x: [[1, 1]], y: [0] }];",
  step: 'const step = await explain(model, { x, y }, { loss: "crossEntropy" });',
  recorder:
    'const recorder = new Recorder();\nawait model.fit(data, { loss: "crossEntropy", epochs: 3, observer: recorder });',
  train: "const train = { x: [[0, 0], [0, 1], [1, 0], [1, 1]], y: [0, 1, 1, 0] };",
};

/** Examples that need more than one file, and where they are tried instead. */
const ELSEWHERE: Record<string, string> = {
  ...(gpu.backend ? {} : { "src/backends/webgpu/session.ts": gpu.why, "docs/webgpu.md": gpu.why }),
  "src/interchange/onnx/from-onnx.ts": "a file of another program; test/interchange has them",
  "src/interchange/torch/from-torch.ts": "a file of PyTorch's; test/interchange has them",
  "src/interchange/torch/read-torch.ts": "a file of PyTorch's; test/interchange has them",
  "src/worker/serve.ts": "two files; test/worker has both sides",
  "src/worker/worker-model.ts": "the worker's file is built; test/worker/browser.test.ts and npm run pack:check run it",
};

const modules: [string, object][] = [
  ["chainrule", library],
  ["chainrule/data", data],
  ["chainrule/data/node", dataNode],
  ["chainrule/explain", explain],
  ["chainrule/interchange", interchange],
  ["chainrule/webgpu", webgpu],
  ["chainrule/worker", worker],
];

/** The snippet with the imports and declarations that it leaves out. */
function complete(code: string): string {
  const uses = (text: string, name: string) => new RegExp(`(?<![.\\w"'/])${name}\\b(?!\\s*[:=](?!=))`).test(text);
  const declares = (text: string, name: string) =>
    [
      `(?:const|let|function|class)\\s+(?:\\{[^}]*\\b|\\[[^\\]]*\\b)?${name}\\b`,
      `import[^;]*\\b${name}\\b`,
      `\\([^()]*\\b${name}\\b[^()]*\\)\\s*=>`,
    ].some((pattern) => new RegExp(pattern).test(text));
  const wanted = new Set<string>();
  // What the prelude declares may itself use what the prelude declares.
  for (let text = code; ; ) {
    const more = Object.keys(PRELUDE).filter((name) => !wanted.has(name) && uses(text, name) && !declares(code, name));
    if (more.length === 0) break;
    for (const name of more) wanted.add(name);
    text = more.map((name) => PRELUDE[name]).join("\n");
  }
  const prelude = Object.entries(PRELUDE).filter(([name]) => wanted.has(name));
  const body = [...prelude.map(([, line]) => line), code].join("\n");
  const taken = new Set<string>();
  const imports = modules.map(([specifier, exported]) => {
    const names = Object.keys(exported).filter((name) => uses(body, name) && !declares(body, name) && !taken.has(name));
    for (const name of names) taken.add(name);
    return names.length > 0 ? `import { ${names.join(", ")} } from "${specifier}";` : "";
  });
  return `${imports.join("\n")}\n${body}\nexport {};\n`;
}

const directory = mkdtempSync(join(tmpdir(), "chainrule-docs-"));
const home = process.cwd();

beforeAll(() => {
  mkdirSync(OUT, { recursive: true });
  vi.spyOn(console, "log").mockImplementation(() => {});
  // Snippets save files under plain names.
  process.chdir(directory);
});

afterAll(() => {
  vi.restoreAllMocks();
  process.chdir(home);
  rmSync(OUT, { recursive: true, force: true });
  rmSync(directory, { recursive: true, force: true });
});

describe.each([
  ["guides", markdownSnippets()],
  ["examples in comments", exampleSnippets()],
])("%s", (group, snippets) => {
  test("there are some", () => expect(snippets.length).toBeGreaterThan(2));

  const elsewhere = ({ title }: Snippet): string | undefined => ELSEWHERE[title.split(":")[0]];
  for (const snippet of snippets.filter(elsewhere)) test.skip(`${snippet.title} (${elsewhere(snippet)})`, () => {});

  const here = snippets.filter((snippet) => !elsewhere(snippet));
  test.each(here.map(({ title, code }, i) => [title, code, i] as const))("%s", async (_, code, i) => {
    const file = join(OUT, `${group.replaceAll(" ", "-")}-${i}.ts`);
    writeFileSync(file, complete(code));
    await import(file);
  });
});
