// Packs the package as `npm publish` would, installs the pack in an empty folder, and uses it as its users do: every entry is
// imported, a network is trained, and the command runs. Fails when any of it does.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** The command serves the studio that is in the pack. */
async function checkStudio() {
  const child = spawn("npx", ["--no-install", "chainrule", "studio", "--no-open"], { cwd: folder, detached: true });
  try {
    const address = await new Promise((found, failed) => {
      child.stdout.on("data", (text) => /http:\S+/.test(text) && found(/http:\S+/.exec(text)[0]));
      child.on("exit", () => failed(new Error("the studio did not start")));
    });
    const page = await (await fetch(address)).text();
    const script = /src="\.\/(assets\/[^"]+)"/.exec(page)?.[1];
    if (!(await fetch(new URL(script, address))).ok) throw new Error("the studio has no script");
  } finally {
    process.kill(-child.pid, "SIGTERM");
  }
}

const root = resolve(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "chainrule-pack-"));
const run = (command, args, cwd = folder) =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

try {
  const [{ filename, files }] = JSON.parse(
    run("npm", ["pack", "--json", "--silent", "--pack-destination", folder], root).replace(/^[^[]*/, ""),
  );
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  run("npm", ["install", "--silent", "--no-audit", "--no-fund", join(folder, filename)]);
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const entries = Object.keys(exports).filter((entry) => !entry.endsWith(".json"));
  writeFileSync(
    join(folder, "use.mjs"),
    `${entries.map((entry, i) => `import * as e${i} from "chainrule${entry.slice(1)}";`).join("\n")}
for (const names of [${entries.map((_, i) => `e${i}`)}]) if (Object.keys(names).length === 0) throw new Error("an entry is empty");
const model = e0.sequential({ input: [2], seed: 1 }, [e0.dense(8, { activation: "tanh" }), e0.dense(2)]);
const data = { x: [[0, 0], [0, 1], [1, 0], [1, 1]], y: [0, 1, 1, 0] };
await model.fit(data, { loss: "crossEntropy", optimizer: e0.adam({ learningRate: 0.1 }), epochs: 100, onWarning: false });
const { accuracy } = await model.evaluate(data, { metrics: ["accuracy"] });
if (accuracy !== 1) throw new Error(\`accuracy \${accuracy}\`);
const there = await e${entries.indexOf("./worker")}.inWorker(model);
const [here, away] = [await model.predict(data), await there.predict(data)];
if (String(here) !== String(away)) throw new Error("another answer in a worker");
there.close();`,
  );
  run("node", ["use.mjs"]);
  run("npx", ["--no-install", "chainrule", "train", "xor", "--epochs", "2", "--quiet", "--out", "m.safetensors"]);
  if (!run("npx", ["--no-install", "chainrule", "summary", "m.safetensors"]).includes("dense"))
    throw new Error("no summary");
  await checkStudio();
  console.log(`${filename}: ${files.length} files, installed and used: ${entries.join(", ")} and the command.`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
