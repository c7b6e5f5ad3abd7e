/**
 * Whether the command uses 256-bit vectors, an experimental flag of V8: where they pass their check, which runs in a
 * process of its own, so that even a crash of V8 is only a "no". The answer is kept for this Node and this processor.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The first version of Node whose V8 has 256-bit vectors worth using. */
const FIRST_NODE = 24;

export const isOldNode = (): boolean => Number.parseInt(process.versions.node, 10) < FIRST_NODE;

/** What the start says on an older Node; figures of docs/benchmarks.md, training with turbo against without. */
export const NEWER_NODE = `Node ${FIRST_NODE} would train 1.3 to 1.9 times as fast here, with 256-bit vectors (measured on AMD and Intel)`;

/** Where systems want what can be made again at any time. */
function cacheFolder(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, "chainrule");
  if (process.platform === "win32") return join(LOCALAPPDATA ?? homedir(), "chainrule");
  return join(homedir(), process.platform === "darwin" ? "Library/Caches" : ".cache", "chainrule");
}

/** Whether 256-bit vectors work here: by what is remembered, or by trying them in another process. */
export function turboWorks(): boolean {
  if (isOldNode()) return false;
  const folder = cacheFolder();
  const file = join(folder, "turbo.json");
  const machine = `${process.version} ${process.arch} ${cpus()[0]?.model ?? ""}`;
  let known: Record<string, unknown> = {};
  try {
    known = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  } catch {
    // Not asked before, or not to be read: then it is tried.
  }
  if (typeof known?.[machine] === "boolean") return known[machine];
  const script = fileURLToPath(
    new URL(import.meta.url.endsWith(".ts") ? "./turbo-trial.ts" : "./turbo-trial.js", import.meta.url),
  );
  const { status } = spawnSync(process.execPath, [...process.execArgv, script], { stdio: "ignore", timeout: 20_000 });
  const works = status === 0;
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, JSON.stringify({ ...known, [machine]: works }));
  } catch {
    // A home that cannot be written to is asked again the next time.
  }
  return works;
}
