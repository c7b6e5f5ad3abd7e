/**
 * Runs the command as users do, in a process and a directory of its own; and makes small files to run it on. The
 * command is bundled once per test file, since a hundred processes that each compile it anew take a minute.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { buildSync } from "esbuild";
import { afterAll } from "vitest";
import { crc32 } from "../../src/data/crc32.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const SOURCE = join(ROOT, "src/cli/main.ts");
/** Two levels below the root, as src/cli and dist/cli are. */
const BUNDLE = join(ROOT, "dist", `test-cli-${process.pid}-${Date.now()}`);
buildSync({
  entryPoints: [SOURCE],
  outdir: BUNDLE,
  bundle: true,
  splitting: true,
  packages: "external",
  platform: "node",
  format: "esm",
});

export interface Outcome {
  readonly code: number | null;
  /** What ended it, where it did not end by itself. */
  readonly signal?: NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs the source through tsx, as `npm start` does, instead of the bundle. */
  readonly fromSource?: boolean;
  /** Called with what stderr holds so far. */
  readonly watch?: (stderr: string, child: ChildProcess) => void;
}

const directories: string[] = [BUNDLE];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** A directory that goes when the tests are done. */
export class Scratch {
  readonly path: string;

  constructor() {
    this.path = mkdtempSync(join(tmpdir(), "chainrule-cli-"));
    directories.push(this.path);
  }

  write(name: string, content: string | Uint8Array): string {
    const path = join(this.path, name);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  list(): string[] {
    return readdirSync(this.path).sort();
  }

  /** Runs `chainrule` with these arguments here. */
  run(args: readonly string[], { stdin, env, watch, fromSource }: RunOptions = {}): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const command = fromSource ? ["--import", import.meta.resolve("tsx"), SOURCE] : [join(BUNDLE, "main.js")];
      const child = spawn(process.execPath, [...command, ...args], {
        cwd: this.path,
        env: { ...process.env, NO_COLOR: "1", ...env },
      });
      let [stdout, stderr] = ["", ""];
      child.stdout.on("data", (piece: Buffer) => {
        stdout += piece;
      });
      child.stderr.on("data", (piece: Buffer) => {
        stderr += piece;
        watch?.(stderr, child);
      });
      child.stdin.end(stdin ?? "");
      child.on("error", reject);
      child.on("close", (code, signal) => resolve({ code, stdout, stderr, ...(signal && { signal }) }));
    });
  }

  /** The JSON objects that a run writes to stdout, one per line. */
  async json(args: readonly string[]): Promise<Record<string, unknown>[]> {
    const { stdout } = await this.run([...args, "--json"]);
    return stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

/** Rows of two numbers, a colour and a class that follows from them. */
export function fruit(count: number): string {
  const rows = Array.from({ length: count }, (_, i) => {
    const [size, weight] = [(i * 37) % 11, (i * 53) % 17];
    return `${size},${weight},${i % 3 === 0 ? "red" : "green"},${size + weight > 13 ? "ripe" : "raw"}`;
  });
  return `size,weight,colour,state\n${rows.join("\n")}\n`;
}

/** y = 300 + 100 a − 50 b, as a table. */
export function prices(count: number): string {
  const rows = Array.from({ length: count }, (_, i) => {
    const [a, b] = [((i * 7) % 23) / 23, ((i * 11) % 19) / 19];
    return `${a},${b},${300 + 100 * a - 50 * b}`;
  });
  return `a,b,price\n${rows.join("\n")}\n`;
}

/** A bar across a 28 × 28 picture, light on dark, at a height that says the class. */
export function barPicture(label: number, shift = 0): Uint8Array {
  const pixels = new Uint8Array(28 * 28);
  for (let y = 0; y < 3; y++)
    pixels.fill(255, (2 * label + 3 + y) * 28 + 4 + shift, (2 * label + 3 + y) * 28 + 20 + shift);
  return pixels;
}

/** The bytes of an IDX file of bytes. */
export function idx(shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header[2] = 8;
  header[3] = shape.length;
  shape.forEach((length, i) => {
    header.writeUInt32BE(length, 4 + 4 * i);
  });
  return Buffer.concat([header, data]);
}

/** The four files of a set of bars in ten classes. */
export function writeIdx(scratch: Scratch, directory: string, count = 100): void {
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
  const pictures = Buffer.concat([...labels].map((label, i) => barPicture(label, i % 5)));
  for (const set of ["train", "t10k"]) {
    scratch.write(`${directory}/${set}-images-idx3-ubyte`, idx([count, 28, 28], pictures));
    scratch.write(`${directory}/${set}-labels-idx1-ubyte`, idx([count], labels));
  }
}

/** A grey PNG file. */
export function png(pixels: Uint8Array, width: number, height: number): Uint8Array {
  const chunk = (type: string, data: Uint8Array): Uint8Array => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc32(body) >>> 0);
    return Buffer.concat([length, body, check]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const rows = Array.from({ length: height }, (_, y) => [0, ...pixels.subarray(y * width, (y + 1) * width)]);
  const magic = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  const data = deflateSync(Uint8Array.from(rows.flat()));
  return Buffer.concat([magic, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array(0))]);
}
