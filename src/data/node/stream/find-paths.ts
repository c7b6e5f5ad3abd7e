/** Finds the files that a pattern names: `*` stands for any letters and `?` for one, in any part of a path. Node only. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { check } from "../../../checks.ts";
import { dataError } from "../../fail.ts";
import { fileError } from "../files.ts";

/** The files of a path, a pattern, or a list of both, in order of name within each pattern. */
export async function findPaths(source: string | readonly string[]): Promise<string[]> {
  const sources = typeof source === "string" ? [source] : source;
  check(
    Array.isArray(sources) && sources.length > 0 && sources.every((each) => typeof each === "string" && each !== ""),
    'Data are named by a path, a pattern such as "shards/*.csv", or a list of them',
    source,
  );
  const found: string[] = [];
  for (const each of sources) found.push(...(await expand(each)));
  return found;
}

async function expand(pattern: string): Promise<string[]> {
  // A file may have such a name.
  if (!/[*?]/.test(pattern) || (await stat(pattern).catch(() => undefined))) return [pattern];
  const [first, ...parts] = pattern.split("/");
  let paths = [first === "" ? "/" : ""];
  for (const part of first === "" ? parts : [first, ...parts]) {
    if (!/[*?]/.test(part)) {
      paths = paths.map((path) => join(path, part));
      continue;
    }
    const form = new RegExp(
      `^${part
        .replace(/[.+^${}()|[\]\\]/g, "\\$&")
        .replaceAll("*", "[^/]*")
        .replaceAll("?", "[^/]")}$`,
    );
    const next: string[] = [];
    for (const path of paths) {
      const names = await readdir(path || ".").catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === "ENOTDIR") return [];
        throw fileError("read", path || ".", cause);
      });
      // What begins with a point is hidden, as everywhere.
      for (const name of names.sort()) if (form.test(name) && !name.startsWith(".")) next.push(join(path, name));
    }
    paths = next;
  }
  if (paths.length === 0) throw dataError("no file has such a name. Check the pattern.", { file: pattern });
  return paths;
}
