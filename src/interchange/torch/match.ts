/**
 * Which tensors of a file belong to which layers: those that the user names, those of the same name, and then those whose shapes fit. Where
 * several layers fit several modules, their order decides if it can be known; where it cannot, nothing is guessed.
 */
import { unknownName } from "../../checks.ts";
import type { StoredTensor } from "../../data/tensor-file.ts";
import { ShapeError } from "../../errors.ts";
import { sameShape, showShape } from "../../graph/shape.ts";
import { type Form, formsOf, type MatrixLayout } from "./forms.ts";
import type { Place } from "./places.ts";

type Tensors = ReadonlyMap<string, StoredTensor>;

/** By what a layer and its tensors were brought together. */
export type MatchedBy = "given" | "name" | "shape" | "order";

/** A layer and the tensors that are its. */
export interface Match {
  readonly place: Place;
  readonly form: Form;
  /** What its tensors are called in the file: for each entry of the form, in the order of its tensors. */
  readonly keys: readonly (readonly string[])[];
  readonly by: MatchedBy;
}

/** Layers and modules that fit each other in several ways. */
export interface Ambiguity {
  readonly layers: readonly string[];
  readonly modules: readonly string[];
}

/** What was brought together, and what could not be told apart. */
export interface Matching {
  readonly matches: readonly Match[];
  readonly ambiguous: readonly Ambiguity[];
}

/** What the user knows of names: for a layer, the module whose weights it takes. */
export type LayerNames = Readonly<Record<string, string>> | ((layer: string) => string | undefined);

/** A part of the file that could be a layer's: the tensors of one prefix, or one layer and direction of a recurrent module. */
interface Module {
  readonly prefix: string;
  readonly named: Form["named"];
  /** What ends the names of a recurrent module's tensors: `_l0`, `_l1_reverse`. */
  readonly suffix: string;
}

const FLOATS = ["F64", "F32", "F16", "BF16"];
/** Whether a tensor can be a weight: whole numbers count batches or places. */
export const isWeight = ({ dtype }: StoredTensor): boolean => FLOATS.includes(dtype);

const keyIn = ({ prefix, suffix, named }: Module, tensor: string): string =>
  named === "tensor" || prefix === ""
    ? `${named === "tensor" ? prefix : tensor}${suffix}`
    : `${prefix}.${tensor}${suffix}`;

const titleOf = ({ prefix, suffix }: Module): string =>
  suffix ? `${prefix} (${suffix.slice(1)})` : prefix || "the file itself";

const parentOf = (key: string): string => key.slice(0, Math.max(0, key.lastIndexOf(".")));

/** The names that tensors have in modules; any other could be a parameter by itself. */
const IN_MODULES = /(^|\.)(weight|bias|gamma|beta|running_|in_proj|mean|deviation)[^.]*$/;
const RECURRENT = /(^|\.)weight_ih((_l\d+)?(_reverse)?)$/;

/** All that could be a module. */
function modulesOf(tensors: Tensors): Module[] {
  const modules = new Map<string, Module>();
  const add = (module: Module): void => {
    const id = JSON.stringify(module);
    if (!modules.has(id)) modules.set(id, module);
  };
  for (const key of tensors.keys()) {
    const cell = RECURRENT.exec(key);
    if (cell) add({ prefix: parentOf(key), named: "recurrent", suffix: cell[2] });
    if (!IN_MODULES.test(key)) add({ prefix: key, named: "tensor", suffix: "" });
    for (let prefix = parentOf(key); ; prefix = parentOf(prefix)) {
      add({ prefix, named: "module", suffix: "" });
      if (prefix === "") break;
    }
  }
  return [...modules.values()];
}

/** The names of a module's tensors for a form, by its entries; undefined unless all are there, in the form's shapes. */
function keysFor(form: Form, module: Module, tensors: Tensors): string[][] | undefined {
  if (form.named !== module.named) return undefined;
  const keys: string[][] = [];
  for (const entry of form.entries) {
    const own: string[] = [];
    for (const { name, shape } of entry.tensors) {
      const key = keyIn(module, name);
      const found = tensors.get(key);
      if (!found || !isWeight(found) || !sameShape(found.shape, shape)) return undefined;
      own.push(key);
    }
    keys.push(own);
  }
  return keys;
}

const WHOLE = ["multiHeadAttention", "lstm", "gru", "simpleRnn"];
/** Modules of several products come first, whose parts look like others; tables of positions last, which could be any tensor. */
const IN_ORDER: readonly ((kind: string) => boolean)[] = [
  (kind) => WHOLE.includes(kind),
  (kind) => !WHOLE.includes(kind) && kind !== "positions",
  (kind) => kind === "positions",
];

/** Finds layers' tensors. `isOrdered` says whether the file's names stand in the order in which the network was made. */
export class Matcher {
  readonly #tensors: Tensors;
  readonly #layout: MatrixLayout;
  readonly #isOrdered: boolean;
  readonly #modules: readonly Module[];
  /** The weights that stand directly under each prefix. */
  readonly #under = new Map<string, string[]>();
  readonly #forms = new Map<Place, readonly Form[]>();
  readonly #used = new Set<string>();
  readonly #matches: Match[] = [];
  readonly #ambiguous: Ambiguity[] = [];

  constructor(tensors: Tensors, layout: MatrixLayout, isOrdered: boolean) {
    this.#tensors = tensors;
    this.#layout = layout;
    this.#isOrdered = isOrdered;
    const modules = modulesOf(tensors);
    const { compare } = new Intl.Collator("en", { numeric: true });
    this.#modules = isOrdered
      ? modules
      : modules.sort((a, b) => compare(a.prefix, b.prefix) || compare(a.suffix, b.suffix));
    for (const [key, tensor] of tensors) {
      const under = this.#under.get(parentOf(key)) ?? [];
      if (isWeight(tensor)) under.push(key);
      this.#under.set(parentOf(key), under);
    }
  }

  match(places: readonly Place[], names: LayerNames | undefined): Matching {
    let rest = this.#byGiven(places, names);
    rest = this.#byName(rest);
    for (const kinds of IN_ORDER) this.#byShape(rest.filter(({ layer }) => kinds(layer.kind)));
    return { matches: this.#matches, ambiguous: this.#ambiguous };
  }

  #formsOf(place: Place): readonly Form[] {
    const known = this.#forms.get(place) ?? formsOf(place, this.#layout);
    this.#forms.set(place, known);
    return known;
  }

  #take(place: Place, form: Form, keys: readonly (readonly string[])[], by: MatchedBy): void {
    this.#matches.push({ place, form, keys, by });
    for (const key of keys.flat()) this.#used.add(key);
  }

  #byGiven(places: readonly Place[], names: LayerNames | undefined): Place[] {
    if (names === undefined) return [...places];
    const nameOf =
      typeof names === "function" ? names : (layer: string) => (Object.hasOwn(names, layer) ? names[layer] : undefined);
    const known = places.map(({ layer }) => layer.name);
    if (typeof names !== "function")
      for (const layer of Object.keys(names))
        if (!known.includes(layer)) throw unknownName("layer with weights", layer, known);
    return places.filter((place) => {
      const { layer } = place;
      const wanted = nameOf(layer.name);
      if (wanted === undefined) return true;
      const modules = this.#modules.filter((module) => module.prefix === wanted || titleOf(module) === wanted);
      if (modules.length === 0) {
        const prefixes = [...new Set(this.#modules.map(titleOf))].filter(
          (prefix) => (this.#under.get(prefix)?.length ?? 0) > 0,
        );
        throw unknownName("module in the file", wanted, prefixes);
      }
      for (const form of this.#formsOf(place))
        for (const module of modules) {
          const keys = keysFor(form, module, this.#tensors);
          if (!keys) continue;
          this.#take(place, form, keys, "given");
          return false;
        }
      throw new ShapeError(
        `"${wanted}" does not fit ${layer.name}, which ${wants(place, this.#layout)}; there ${this.#has(wanted)}.`,
        {
          facts: { layer: layer.name, module: wanted },
        },
      );
    });
  }

  /** What stands under a prefix, in words. */
  #has(prefix: string): string {
    const keys = [...this.#tensors].filter(([key]) => key === prefix || key.startsWith(`${prefix}.`)).slice(0, 8);
    return `are ${keys.map(([key, { shape }]) => `${key.slice(prefix.length + 1) || key} ${showShape(shape)}`).join(", ")}`;
  }

  /** Whether a form takes all weights of a module, so that the module is of that kind, and none is taken already. */
  #isFree(form: Form, module: Module, keys: readonly string[]): boolean {
    if (keys.some((key) => this.#used.has(key))) return false;
    if (form.named === "tensor") return true;
    const under = this.#under.get(module.prefix) ?? [];
    return under.every((key) => keys.includes(key) || !key.endsWith(module.suffix));
  }

  /** The first form in which a module fits a layer. */
  #fit(place: Place, module: Module): { form: Form; keys: string[][] } | undefined {
    for (const form of this.#formsOf(place)) {
      const keys = keysFor(form, module, this.#tensors);
      if (keys && this.#isFree(form, module, keys.flat())) return { form, keys };
    }
    return undefined;
  }

  #byName(places: readonly Place[]): Place[] {
    return places.filter((place) => {
      const { name } = place.layer;
      const same = this.#modules.filter(({ prefix }) => prefix === name);
      const longer = this.#modules.filter(({ prefix }) => prefix.endsWith(`.${name}`));
      const modules = same.length > 0 ? same : longer;
      const fits = modules.flatMap((module) => this.#fit(place, module) ?? []);
      if (fits.length !== 1) return true;
      this.#take(place, fits[0].form, fits[0].keys, "name");
      return false;
    });
  }

  #byShape(places: readonly Place[]): void {
    // Modules with the same tensors, such as a table and its weight, are one.
    const candidates = new Map<string, { module: Module; fits: Map<Place, { form: Form; keys: string[][] }> }>();
    for (const place of places)
      for (const module of this.#modules) {
        const fit = this.#fit(place, module);
        if (!fit || (fit.form.named === "recurrent" && fit.form.reverse !== module.suffix.endsWith("_reverse")))
          continue;
        const id = fit.keys.flat().sort().join(" ");
        const known = candidates.get(id) ?? { module, fits: new Map() };
        if (!known.fits.has(place)) known.fits.set(place, fit);
        candidates.set(id, known);
      }
    for (const group of groupsOf(places, [...candidates.values()])) this.#resolve(group);
  }

  #resolve({ places, candidates }: Group): void {
    if (candidates.length === 0) return;
    const titles = candidates.map(({ module }) => titleOf(module));
    const isAlike = new Set(titles.map((title) => title.replaceAll(/\d+/g, "#"))).size === 1;
    const pairs = places.map((place, i) => candidates[i]?.fits.get(place));
    const isKnown = places.length === 1 || this.#isOrdered || isAlike;
    if (places.length === candidates.length && isKnown && pairs.every((pair) => pair !== undefined)) {
      for (const [i, place] of places.entries())
        this.#take(place, pairs[i].form, pairs[i].keys, places.length === 1 ? "shape" : "order");
    } else this.#ambiguous.push({ layers: places.map(({ layer }) => layer.name), modules: titles });
  }
}

interface Candidate {
  readonly module: Module;
  readonly fits: ReadonlyMap<Place, { form: Form; keys: string[][] }>;
}

interface Group {
  readonly places: readonly Place[];
  readonly candidates: readonly Candidate[];
}

/** Layers and modules that are connected by fitting each other, in their orders. */
function groupsOf(places: readonly Place[], candidates: readonly Candidate[]): Group[] {
  const rest = new Set(places);
  const groups: Group[] = [];
  for (const begin of places) {
    if (!rest.has(begin)) continue;
    const [own, theirs] = [new Set([begin]), new Set<Candidate>()];
    for (let size = -1; size !== own.size + theirs.size; ) {
      size = own.size + theirs.size;
      for (const candidate of candidates) {
        const fitting = [...candidate.fits.keys()];
        if (!fitting.some((place) => own.has(place))) continue;
        theirs.add(candidate);
        for (const place of fitting) own.add(place);
      }
    }
    for (const place of own) rest.delete(place);
    groups.push({
      places: places.filter((place) => own.has(place)),
      candidates: candidates.filter((candidate) => theirs.has(candidate)),
    });
  }
  return groups;
}

/** What a layer wants of a file, in words: `wants weight [10, 64] and bias [10] of a Linear`. */
export function wants(place: Place, layout: MatrixLayout): string {
  const [form] = formsOf(place, layout);
  if (!form) return "has no counterpart in PyTorch";
  const tensors = form.entries.flatMap((entry) =>
    entry.tensors.map(({ name, shape }) => `${name} ${showShape(shape)}`.trim()),
  );
  return `wants ${tensors.join(", ")} of a ${form.module}`;
}
