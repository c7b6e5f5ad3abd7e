/** Where the parts of the network stand in its picture: columns of units, of maps, or of one picture for many units. */
import type { LayerLook, Setup } from "../lab/looks.ts";

/** Above so many units a layer is shown as one picture of cells. */
export const MOST_UNITS = 40;

export interface Column {
  /** `input`, or the layer whose results these are. */
  readonly name: string;
  readonly title: string;
  readonly kind: "units" | "cells" | "maps";
  /** Units, or maps. */
  readonly count: number;
  /** Of each map, or of all cells. */
  readonly width: number;
  readonly height: number;
  /** The layers between the column before and this one that only pass on: normalize, flatten, dropout. */
  readonly between: readonly LayerLook[];
  readonly layer?: LayerLook;
  /** The weights that lead here from the units of the column before, where each pair has one. */
  readonly kernel?: string;
}

/** Layers that only scale, form or leave out are a word on the way, not a column. */
const PASSING = new Set(["normalize", "rescale", "flatten", "dropout", "spatialDropout"]);

/** How wide a picture of so many cells is: a divisor of the count that makes it about as wide as high, where there is one. */
function widthOf(count: number): number {
  const side = Math.ceil(Math.sqrt(count));
  for (let width = Math.floor(Math.sqrt(count)); width >= side / 2; width--) if (count % width === 0) return width;
  return side;
}

function form(shape: readonly number[]): Pick<Column, "kind" | "count" | "width" | "height"> {
  if (shape.length === 3) return { kind: "maps", count: shape[2], height: shape[0], width: shape[1] };
  const count = shape.reduce((a, b) => a * b, 1);
  if (count <= MOST_UNITS) return { kind: "units", count, width: 1, height: count };
  const width = widthOf(count);
  return { kind: "cells", count, width, height: Math.ceil(count / width) };
}

export function columnsOf({ data, layers }: Setup): Column[] {
  const columns: Column[] = [{ name: "input", title: "input", ...form(data.inputShape), between: [] }];
  let between: LayerLook[] = [];
  layers.forEach((layer, i) => {
    if (PASSING.has(layer.kind)) {
      between.push(layer);
      return;
    }
    const before = columns[columns.length - 1];
    const kernel = layer.parameters.find(({ name }) => name === `${layer.name}.kernel`);
    const parts = form(layer.outputShape);
    const isPair =
      kernel?.shape.length === 2 &&
      before.kind === "units" &&
      parts.kind === "units" &&
      kernel.shape[0] === before.count;
    const isLast = layers.slice(i + 1).every(({ kind }) => PASSING.has(kind));
    columns.push({
      ...{ name: layer.name, title: isLast ? "output" : layer.name, ...parts, between, layer },
      ...(isPair && { kernel: kernel.name }),
    });
    between = [];
  });
  return columns;
}

/** The places of the columns: their centres, and how wide each is, within a width of the page. */
export interface Places {
  readonly width: number;
  readonly height: number;
  readonly centres: readonly number[];
  /** Of a picture of cells, or of one of the maps, which stand in rows of two. */
  readonly sizes: readonly number[];
}

/** Room between two columns, at least: the lines and the words on the way need it. */
const [GAP, PASSING_GAP] = [34, 62];
const HEAD = 34;

export function placesOf(columns: readonly Column[], available: number): Places {
  const height = Math.min(
    430,
    Math.max(200, ...columns.map(({ kind, count }) => HEAD + 16 + (kind === "units" ? count * 40 : 170))),
  );
  const share = available / columns.length;
  const sizes = columns.map(({ kind, count }) => {
    if (kind === "units") return 30;
    if (kind === "cells" || count === 1) return Math.max(56, Math.min(130, share - GAP));
    const rows = Math.ceil(count / 2);
    return Math.max(16, Math.min(64, (share - GAP) / 2, (height - HEAD - 20) / rows - 4));
  });
  const widths = sizes.map((size, i) => (columns[i].kind === "maps" && columns[i].count > 1 ? 2 * size + 3 : size));
  const gaps = columns.map(({ between }, i) => (i === 0 ? 0 : between.length > 0 ? PASSING_GAP : GAP));
  const needed = [...widths, ...gaps].reduce((a, b) => a + b, 44);
  const more = columns.length > 1 ? Math.max(0, (available - needed) / (columns.length - 1)) : 0;
  const centres: number[] = [];
  let at = 22;
  columns.forEach((_, i) => {
    if (i > 0) at += gaps[i] + more;
    centres.push(at + widths[i] / 2);
    at += widths[i];
  });
  return { width: Math.max(available, needed), height, centres, sizes };
}

/** Units stand evenly over the height, as large as there is room, up to a size. */
export function unitPlaces({ count }: Column, height: number): { readonly size: number; at(unit: number): number } {
  const pitch = Math.min(42, (height - HEAD - 12) / count);
  return {
    size: Math.min(30, Math.max(2, pitch - (pitch > 16 ? 5 : 1.5))),
    at: (unit) => HEAD + (height - HEAD - 10) / 2 + (unit - (count - 1) / 2) * pitch,
  };
}
