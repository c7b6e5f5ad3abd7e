/**
 * Finds the state dict in what a file of PyTorch's holds: names with tensors, alone or beside an optimiser's state, the number of the
 * epoch and whatever else a checkpoint has. Where several could be meant, the one that is called as usual is taken, and said.
 */
import { show, unknownName } from "../../checks.ts";
import { ArgumentError } from "../../errors.ts";
import { type FileFail, SAVE_WEIGHTS } from "./file.ts";
import { TensorRef } from "./tensors.ts";

/** Tensors by their names, and where they were found. */
export interface StateDict {
  readonly tensors: ReadonlyMap<string, TensorRef>;
  /** The keys that lead to it, with dots between them; empty for the file's own dictionary. */
  readonly at: string;
  /** What else the file holds, in words: `epoch: 3`, `optimizer`. */
  readonly others: readonly string[];
}

/** What checkpoints call the network's weights, the likeliest first. */
const USUAL = ["state_dict", "model_state_dict", "model", "module", "network", "net", "weights", "params"];
/** How deep a state dict may lie in dictionaries. */
const DEEPEST = 4;
/** How many dictionaries are looked at. */
const MOST_LOOKED_AT = 10_000;

interface Found {
  readonly at: string;
  readonly map: ReadonlyMap<unknown, unknown>;
}

const tensorsOf = (map: ReadonlyMap<unknown, unknown>): [string, TensorRef][] =>
  [...map].filter(
    (entry): entry is [string, TensorRef] => typeof entry[0] === "string" && entry[1] instanceof TensorRef,
  );

/** All dictionaries with tensors under names, the outer ones first; not those of optimisers. */
function dictionariesOf(root: ReadonlyMap<unknown, unknown>): Found[] {
  const found: Found[] = [];
  const seen = new Set<unknown>();
  let level: Found[] = [{ at: "", map: root }];
  for (let depth = 0; depth <= DEEPEST && level.length > 0; depth++) {
    const next: Found[] = [];
    for (const { at, map } of level) {
      if (seen.has(map) || seen.size >= MOST_LOOKED_AT) continue;
      seen.add(map);
      if (map.has("state") && map.has("param_groups")) continue;
      if (tensorsOf(map).length > 0) found.push({ at, map });
      for (const [key, value] of map)
        if (typeof key === "string" && value instanceof Map) next.push({ at: at ? `${at}.${key}` : key, map: value });
    }
    level = next;
  }
  // A measured value beside the weights is no state dict of its own.
  const whole = found.filter(({ map }) => tensorsOf(map).some(([, { shape }]) => shape.length > 0));
  return whole.length > 0 ? whole : found;
}

function choose(found: readonly Found[], wanted: string | undefined): Found | undefined {
  if (wanted !== undefined) {
    const asked = found.find(({ at }) => at === wanted);
    if (asked) return asked;
    throw unknownName(
      "state dict",
      wanted,
      found.map(({ at }) => at),
    );
  }
  if (found.length === 1 || found[0]?.at === "") return found[0];
  for (const name of USUAL) {
    const usual = found.find(({ at }) => at === name);
    if (usual) return usual;
  }
  return undefined;
}

/** One of the file's other entries, in words. */
function described(key: unknown, value: unknown): string {
  const name = typeof key === "string" ? key.slice(0, 60) : show(key);
  return ["number", "string", "boolean"].includes(typeof value) ? `${name}: ${show(value)}` : name;
}

/** The state dict of a file, or the one of the name that is wanted. */
export function findStateDict(root: unknown, wanted: string | undefined, fail: FileFail): StateDict {
  if (!(root instanceof Map)) {
    const came = root instanceof TensorRef ? "a single tensor" : Array.isArray(root) ? "a list" : "no dictionary";
    throw fail(`it holds ${came}, where a state dict was wanted: names with tensors`, { cure: SAVE_WEIGHTS });
  }
  const found = dictionariesOf(root);
  if (found.length === 0) throw fail("it holds no tensors under names", { cure: SAVE_WEIGHTS });
  const chosen = choose(found, wanted);
  if (!chosen) {
    const names = found.map(({ at }) => show(at));
    throw new ArgumentError(
      `The file has ${found.length} state dicts: ${names.slice(0, 12).join(", ")}${names.length > 12 ? ", …" : ""}. Say which is meant: { at: ${names[0]} }.`,
      { facts: { known: found.map(({ at }) => at) } },
    );
  }
  const { at, map } = chosen;
  const around = map === root ? [...map].filter(([, value]) => !(value instanceof TensorRef)) : [...root];
  const others = around.filter(([key]) => typeof key !== "string" || at.split(".")[0] !== key);
  return {
    tensors: new Map(tensorsOf(map)),
    at,
    others: others.slice(0, 100).map(([key, value]) => described(key, value)),
  };
}
