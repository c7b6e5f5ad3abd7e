/**
 * A training run that is killed, again and again, ends with the bytes of the run that nobody touched. The child is
 * killed with SIGKILL: at any moment of its life, or, for a third of the kills, within the write of a checkpoint. A kill
 * counts as within a write only by what it leaves on the disk: the temporary file that a finished write would have
 * renamed. Whatever it leaves, the next child must go on from it by itself, or begin anew if there is no checkpoint yet.
 *
 * CHAINRULE_KILLS=100 is the long form; moments are drawn from CHAINRULE_KILLS_SEED.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RandomStream } from "chainrule";
import { buildSync } from "esbuild";
import { afterAll, expect, test } from "vitest";

const KILLS = Number(process.env.CHAINRULE_KILLS ?? 6);
const SEED = Number(process.env.CHAINRULE_KILLS_SEED ?? 1);

const home = mkdtempSync(join(tmpdir(), "chainrule-kills-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const program = join(home, "program.mjs");
buildSync({
  entryPoints: [join(import.meta.dirname, "trains-under-fire.ts")],
  outfile: program,
  bundle: true,
  platform: "node",
  format: "esm",
});

interface Life {
  /** The signal or the exit code it ended with. */
  readonly end: string | number | null;
  readonly words: readonly string[];
  readonly stderr: string;
  readonly milliseconds: number;
}

/** Runs the child on data of a kind in `directory`; `aim` hears each word, and the empty one at the start, and may set the kill off. */
function live(kind: string, directory: string, aim?: (word: string, kill: () => void) => void): Promise<Life> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, [program, directory, kind], { stdio: ["ignore", "pipe", "pipe"] });
    const kill = () => void child.kill("SIGKILL");
    const words: string[] = [];
    let [rest, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const word of lines) {
        words.push(word);
        aim?.(word, kill);
      }
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code, signal) =>
      resolve({ end: signal ?? code, words, stderr, milliseconds: performance.now() - start }),
    );
    aim?.("", kill);
  });
}

/** Keeps this process busy until the condition holds; false if it does not within so many milliseconds. */
function waitFor(condition: () => boolean, milliseconds: number): boolean {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) if (condition()) return true;
  return false;
}

const fresh = () => mkdtempSync(join(home, "run-"));
const modelOf = (directory: string) => readFileSync(join(directory, "model.safetensors"));
/** What a write leaves when it is cut off before its rename. */
const leftovers = (directory: string) => readdirSync(directory).filter((name) => /\.tmp(\.previous)?$/.test(name));

test.each([
  ["rows in memory", "memory", KILLS],
  ["streamed images, varied anew", "stream", Math.ceil(KILLS / 2)],
])(
  "%s: kills, a third of them within checkpoint writes, and every run ends with the undisturbed run's bytes",
  {
    timeout: 60_000 + KILLS * 10_000,
  },
  async (_, kind, kills) => {
    const undisturbed = fresh();
    const { end, stderr, milliseconds } = await live(kind, undisturbed);
    expect([end, stderr]).toEqual([0, ""]);
    const expected = modelOf(undisturbed);

    const draw = new RandomStream(SEED, "kills");
    const count = { kills: 0, within: 0, runs: 0, fresh: 0, checkpoint: 0, previous: 0 };
    let directory = fresh();
    // A kill that was to fall within a write and missed is a kill like any other: the third is of all of them.
    while (count.kills < kills || count.within * 3 < count.kills) {
      expect(count.kills, "kills, too few of them within writes").toBeLessThan(3 * kills + 20);
      const aimsAtWrite = count.within * 3 <= count.kills;
      const before = new Set(leftovers(directory));
      const isWriting = () => leftovers(directory).some((name) => !before.has(name));
      let writesToPass = Math.floor(draw.uniform() * 6);
      const moment = draw.uniform();
      const life = await live(kind, directory, (word, kill) => {
        if (aimsAtWrite) {
          // Looks without a pause, since a write is over before a timer is due.
          if (word === "writing" && writesToPass-- === 0 && waitFor(isWriting, 100)) {
            waitFor(() => false, moment);
            kill();
          }
        } else if (word === "") setTimeout(kill, moment * milliseconds);
      });
      const from = life.words[0] as "fresh" | "checkpoint" | "previous" | undefined;
      if (from) count[from]++;
      if (life.end === "SIGKILL") {
        count.kills++;
        if (isWriting()) count.within++;
        continue;
      }
      compare(life);
    }
    compare(await live(kind, directory));
    console.log(
      `${kind}: ${count.kills} kills, ${count.within} within writes; ${count.runs} runs, each identical; ` +
        `began anew ${count.fresh} times, from the checkpoint ${count.checkpoint}, from the one before ${count.previous}`,
    );

    /** Compares the run that has come to its end, and begins another. */
    function compare(last: Life): void {
      expect([last.end, last.stderr]).toEqual([0, ""]);
      expect(modelOf(directory).equals(expected), "the bytes of the undisturbed run").toBe(true);
      // What a killed child left behind, a later one removed.
      expect(leftovers(directory)).toEqual([]);
      rmSync(directory, { recursive: true });
      directory = fresh();
      count.runs++;
    }
  },
);
