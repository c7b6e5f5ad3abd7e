/** Atomic writes: the old content or the new, never a part; nothing left behind; errors that say what to do. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readFile } from "../../src/data/node/files.ts";
import { writeFileAtomically } from "../../src/data/node/write.ts";
import { FileError } from "../../src/errors.ts";
import { skipWhere } from "../support/skip.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "chainrule-files-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (name: string) => readFileSync(join(directory, name), "utf8");

test("a file is made, replaced, and nothing else is left", async () => {
  const path = join(directory, "m.bin");
  await writeFileAtomically(path, bytes("one"));
  chmodSync(path, 0o640);
  await writeFileAtomically(path, bytes("two"));
  expect(text("m.bin")).toBe("two");
  expect(statSync(path).mode & 0o777).toBe(0o640);
  expect(readdirSync(directory)).toEqual(["m.bin"]);
  expect(await readFile(path)).toEqual(bytes("two"));
});

test("the former content is kept as a second generation", async () => {
  const path = join(directory, "m.bin");
  const keepPrevious = join(directory, "m.previous.bin");
  await writeFileAtomically(path, bytes("one"), { keepPrevious });
  expect(existsSync(keepPrevious)).toBe(false);
  for (const word of ["two", "three"]) await writeFileAtomically(path, bytes(word), { keepPrevious });
  expect([text("m.bin"), text("m.previous.bin")]).toEqual(["three", "two"]);
  expect(readdirSync(directory)).toHaveLength(2);
});

test("a link stays a link, and its target is replaced", async () => {
  writeFileSync(join(directory, "real.bin"), "one");
  symlinkSync("real.bin", join(directory, "link.bin"));
  await writeFileAtomically(join(directory, "link.bin"), bytes("two"));
  expect(text("real.bin")).toBe("two");
});

test("what killed writers of this machine left is removed, what living ones or others have is not", async () => {
  const host = hostname().replace(/[^\w-]/g, "_");
  const dead = `.m.bin.${host}-999999999-0.tmp`;
  const others = [
    `.m.bin.elsewhere!-999999999-0.tmp`,
    `.m.bin.${host}-${process.ppid}-0.tmp`,
    `.n.bin.${host}-999999999-0.tmp`,
  ];
  for (const name of [dead, `${dead}.previous`, ...others]) writeFileSync(join(directory, name), "part");
  await writeFileAtomically(join(directory, "m.bin"), bytes("x"));
  expect(readdirSync(directory).sort()).toEqual([...others, "m.bin"].sort());
});

test("many writes at once leave one whole file", async () => {
  const path = join(directory, "m.bin");
  const words = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000));
  await Promise.all(words.map((word) => writeFileAtomically(path, bytes(word))));
  expect(words).toContain(text("m.bin"));
  expect(readdirSync(directory)).toEqual(["m.bin"]);
});

test("each failure is a FileError that says what to do, and leaves nothing", async () => {
  mkdirSync(join(directory, "sub"));
  writeFileSync(join(directory, "plain"), "");
  const failing = async (path: string, message: RegExp) => {
    const error = await writeFileAtomically(path, bytes("x")).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(FileError);
    expect((error as FileError).message).toMatch(message);
    expect((error as FileError).path).toBe(path);
  };
  await failing(join(directory, "none", "m.bin"), /directory does not exist/);
  await failing(join(directory, "sub"), /it is a directory/);
  await failing(join(directory, "plain", "m.bin"), /a file where a directory was wanted/);
  if (existsSync("/dev/full")) await failing("/dev/full", /the disk is full/);
  await expect(readFile(join(directory, "none"))).rejects.toThrow(/no such file.*Check the spelling/);
  await expect(
    writeFileAtomically(join(directory, "plain"), bytes("x"), { keepPrevious: join(directory, "no", "p") }),
  ).rejects.toThrow(FileError);
  expect(text("plain")).toBe("");
  expect(readdirSync(directory).sort()).toEqual(["plain", "sub"]);
});

test("no permission", async (context) => {
  skipWhere(process.getuid?.() === 0, "root may write everywhere", context);
  chmodSync(directory, 0o500);
  await expect(writeFileAtomically(join(directory, "m.bin"), bytes("x"))).rejects.toThrow(/permission is denied/);
  chmodSync(directory, 0o700);
});
