/**
 * Weights of PyTorch in a network of ours. What belongs together is found in match.ts, how it is laid out stands in forms.ts; here both are
 * done, all or nothing, and told in a table.
 */
import { checkOptionNames, show, unknownName } from "../../checks.ts";
import type { ShapedArray } from "../../data/arrays.ts";
import type { StoredTensor } from "../../data/tensor-file.ts";
import { DataError } from "../../errors.ts";
import { type Shape, showShape } from "../../graph/shape.ts";
import type { InferenceModel } from "../../train/inference-model.ts";
import { type MatrixLayout, toOurs } from "./forms.ts";
import { isWeight, type LayerNames, type MatchedBy, Matcher, type Matching, wants } from "./match.ts";
import { type Place, placesOf } from "./places.ts";
import { type ReadTorchOptions, readTorch, type TorchWeights } from "./read-torch.ts";

/** Options of `fromTorch`. */
export interface FromTorchOptions extends ReadTorchOptions {
  /**
   * Which module's weights a layer takes, by our names: `{ dense_1: "head.fc" }`, or a function of a layer's name. What is not named is
   * found by itself. Of a recurrent module's layers and directions: `"lstm (l0_reverse)"`.
   */
  readonly names?: LayerNames;
  /** With false what is left over, on either side, is told and no error; true unless said. */
  readonly strict?: boolean;
  /** Tensors of the file that are no weights of the network, by name. */
  readonly ignore?: (name: string) => boolean;
  /** How matrices lie in the file: `"oi"` as in PyTorch's Linear, `"io"` as in GPT-2 of Hugging Face; `"oi"` unless said. */
  readonly matrices?: MatrixLayout;
}

/** One parameter and where its numbers came from. */
export interface TorchRow {
  readonly parameter: string;
  readonly shape: Shape;
  /** Names in the file. */
  readonly tensors: readonly string[];
  readonly tensorShapes: readonly Shape[];
  /** What was done to them: `[O, I] → [I, O]`; empty if nothing. */
  readonly change: string;
  /** By what they were found: your `names`, the same name, the only ones of these shapes, or their order among some. */
  readonly by: MatchedBy;
}

/** What went where, as data, and as a table for people by `toString`. */
export interface TorchReport {
  readonly rows: readonly TorchRow[];
  /** Parameters of the network that keep their values. */
  readonly missing: readonly string[];
  /** Tensors of the file that were not used. */
  readonly unused: readonly string[];
  /** Tensors that are no weights: counters, and those of `ignore`. */
  readonly ignored: readonly string[];
  /** What should be known: what was found by order alone, which part of a checkpoint was taken. */
  readonly notes: readonly string[];
  /** The table, what is left over, and the notes, as text. */
  toString(): string;
}

const OPTIONS = ["names", "strict", "ignore", "matrices", "file", "at"];

/** Layers whose parameters are no weights: they keep theirs where the file has none. */
const KEEPS_ITS_OWN = ["normalize"];

/**
 * Puts weights of PyTorch into a network: from the bytes of a file (a state dict, a checkpoint, safetensors; several files of one model as a
 * list), or from tensors by their names. Layers get their tensors by name, by shape and by order; matrices, kernels and the gates of recurrent layers
 * are laid out anew, and a Linear after a flattened image takes its columns in our order. The table says what went where.
 * @throws DataError where weights are left over on either side, unless `strict` is false, or the file cannot be read; nothing is changed then
 * @throws ShapeError where `names` bring together what does not fit
 *
 * @example
 * const model = sequential({ input: [28, 28, 1] }, [conv2d(8, 3, { activation: "relu" }), flatten(), dense(10)]);
 * const report = await fromTorch(await readFile("digits.pt"), model);
 * console.log(`${report}`);
 */
export async function fromTorch(
  source: Uint8Array | readonly Uint8Array[] | TorchWeights | Readonly<Record<string, ShapedArray>>,
  model: InferenceModel,
  options: FromTorchOptions = {},
): Promise<TorchReport> {
  checkOptionNames("fromTorch", options, OPTIONS);
  const { names, strict = true, ignore = () => false, matrices = "oi", file, at } = options;
  if (!["oi", "io"].includes(matrices)) throw unknownName("layout of matrices", matrices, ["oi", "io"]);
  const weights = await weightsOf(source, { ...(file !== undefined && { file }), ...(at !== undefined && { at }) });
  const tensors = new Map([...weights.tensors].filter(([name]) => !ignore(name)));
  const places = placesOf(model.network);
  const matching = new Matcher(tensors, matrices, weights.format !== "safetensors").match(places, names);

  const values = new Map<string, Float32Array | Float64Array>();
  const rows: TorchRow[] = [];
  for (const { place, form, keys, by } of matching.matches)
    for (const [i, entry] of form.entries.entries()) {
      const found = keys[i].map((key) => tensors.get(key)!);
      const parameter = `${place.layer.name}.${entry.parameter}`;
      values.set(
        parameter,
        toOurs(
          entry,
          found.map(({ data }) => data as Float32Array | Float64Array),
        ),
      );
      rows.push({
        parameter,
        shape: place.parameters.get(entry.parameter)!,
        tensors: keys[i],
        tensorShapes: found.map(({ shape }) => shape),
        change: entry.how ?? "",
        by,
      });
    }
  const order = model.network.parameters.map(({ name }) => name);
  rows.sort((a, b) => order.indexOf(a.parameter) - order.indexOf(b.parameter));
  const left = leftOver(places, tensors, rows);
  if (strict && (left.missing.length > 0 || left.unused.length > 0))
    throw doesNotFit(places, tensors, matching, left, matrices, file);
  for (const [name, numbers] of values) model.setWeight(name, numbers);
  const ignored = [...weights.tensors].filter(([name, tensor]) => !tensors.has(name) || !isWeight(tensor));
  return new Report(
    rows,
    left.missing,
    left.unused,
    ignored.map(([name]) => name),
    notesOn(weights, matching),
  );
}

/** The weights, whatever was handed over. */
async function weightsOf(
  source: Parameters<typeof fromTorch>[0],
  options: ReadTorchOptions,
): Promise<Pick<TorchWeights, "tensors" | "at" | "others"> & { readonly format: TorchWeights["format"] | "entries" }> {
  if (source instanceof Uint8Array || Array.isArray(source)) return readTorch(source, options);
  if ("tensors" in source && source.tensors instanceof Map) return source as TorchWeights;
  const named = Object.entries(source as Readonly<Record<string, ShapedArray>>);
  const tensors = named.map(([name, { shape, data }]): [string, StoredTensor] => {
    const dtype = data instanceof Float32Array ? "F32" : data instanceof Float64Array ? "F64" : "other";
    return [name, { shape: [...shape], data, dtype }];
  });
  return { tensors: new Map(tensors), format: "entries", at: "", others: [] };
}

interface Left {
  readonly missing: readonly string[];
  readonly unused: readonly string[];
}

function leftOver(
  places: readonly Place[],
  tensors: ReadonlyMap<string, StoredTensor>,
  rows: readonly TorchRow[],
): Left {
  const filled = new Set(rows.map(({ parameter }) => parameter));
  const used = new Set(rows.flatMap((row) => row.tensors));
  const wanted = places.filter(({ layer }) => !KEEPS_ITS_OWN.includes(layer.kind));
  return {
    missing: wanted.flatMap(({ layer, parameters }) =>
      [...parameters.keys()].map((own) => `${layer.name}.${own}`).filter((name) => !filled.has(name)),
    ),
    unused: [...tensors].filter(([name, tensor]) => isWeight(tensor) && !used.has(name)).map(([name]) => name),
  };
}

/** So many of a list, and how many more there are. */
const listed = (items: readonly string[], most = 10): string =>
  items.slice(0, most).join("; ") + (items.length > most ? `; and ${items.length - most} more` : "");

function doesNotFit(
  places: readonly Place[],
  tensors: ReadonlyMap<string, StoredTensor>,
  { ambiguous }: Matching,
  { missing, unused }: Left,
  layout: MatrixLayout,
  file: string | undefined,
): DataError {
  const left = places.filter(({ layer }) => missing.some((name) => name.startsWith(`${layer.name}.`)));
  const unsure = new Set(ambiguous.flatMap(({ layers }) => layers));
  const parts = [
    ...ambiguous.map(({ layers, modules }) => `${listed(layers, 6)} could take ${listed(modules, 6)}`),
    ...left
      .filter(({ layer }) => !unsure.has(layer.name))
      .map((place) => `${place.layer.name} ${wants(place, layout)}`),
  ];
  const network =
    parts.length > 0 ? `Of the network: ${listed(parts)}.` : "Every layer of the network has its weights.";
  const named = unused.map((name) => `${name} ${showShape(tensors.get(name)!.shape)}`);
  const theirs = named.length > 0 ? ` Of the file: ${listed(named)}.` : "";
  const isTurned = left.some(({ layer, parameters }) => {
    const [rows, columns] = parameters.get("kernel") ?? [];
    const fits = (shape: Shape) => shape.length === 2 && shape[0] === rows && shape[1] === columns;
    return (
      layout === "oi" &&
      layer.kind === "dense" &&
      rows !== columns &&
      unused.some((name) => fits(tensors.get(name)!.shape))
    );
  });
  const [one] = left;
  const cure = isTurned
    ? 'Matrices of the file would fit turned round: { matrices: "io" } is for files such as Hugging Face\'s of GPT-2.'
    : one
      ? `Say what belongs together, { names: { ${show(one.layer.name)}: "…" } }, or load what fits with { strict: false }.`
      : "Take a network that has them, say what is to be ignored, { ignore: (name) => … }, or load what fits with { strict: false }.";
  return new DataError(
    `${file ?? "The weights"}: what does not fit is left over. ${network}${theirs} ${cure}`,
    { file },
    {
      facts: { missing, unused, ambiguous },
    },
  );
}

function notesOn(
  { at, others, tensors }: Pick<TorchWeights, "at" | "others" | "tensors">,
  { matches, ambiguous }: Matching,
): string[] {
  const byOrder = matches.filter(({ by }) => by === "order").map(({ place }) => place.layer.name);
  const isDouble = matches.some(({ keys }) => keys.flat().some((key) => tensors.get(key)!.dtype === "F64"));
  const oneBias = matches
    .filter(({ form }) => form.entries.some(({ join }) => join === "sum"))
    .map(({ place }) => place.layer.name);
  return [
    ...(at === "" ? [] : [`taken is the state dict "${at}"; beside it are ${others.join(", ") || "none"}`]),
    ...(byOrder.length > 0
      ? [
          `found by their order among others of the same shapes: ${listed(byOrder)}; see that modules are made in the order of their use`,
        ]
      : []),
    ...ambiguous.map(({ layers, modules }) => `not told apart: ${listed(layers, 6)} could take ${listed(modules, 6)}`),
    ...(oneBias.length > 0
      ? [
          `${listed(oneBias)}: the two biases are one here, their sum; in PyTorch both are trained, so that the sum moves twice as fast`,
        ]
      : []),
    ...(isDouble ? ["numbers of double precision are kept in single precision"] : []),
  ];
}

class Report implements TorchReport {
  readonly rows: readonly TorchRow[];
  readonly missing: readonly string[];
  readonly unused: readonly string[];
  readonly ignored: readonly string[];
  readonly notes: readonly string[];

  constructor(...[rows, missing, unused, ignored, notes]: [readonly TorchRow[], ...(readonly string[])[]]) {
    this.rows = rows;
    this.missing = missing;
    this.unused = unused;
    this.ignored = ignored;
    this.notes = notes;
  }

  toString(): string {
    const table = [
      ["parameter", "", "from", "", "found by", ""],
      ...this.rows.map(({ parameter, shape, tensors, tensorShapes, change, by }) => [
        parameter,
        showShape(shape),
        tensors.join(", "),
        tensorShapes.map(showShape).join(", "),
        by,
        change,
      ]),
    ];
    const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
    const lines = table.map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    );
    const rest = (title: string, names: readonly string[]) =>
      names.length > 0 ? [`${title}: ${names.join(", ")}`] : [];
    return [
      ...lines,
      ...rest("kept as they were", this.missing),
      ...rest("not used", this.unused),
      ...rest("no weights", this.ignored),
      ...this.notes,
    ].join("\n");
  }
}
