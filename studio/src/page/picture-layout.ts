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

function form(shape: readonly number[], name: string): Pick<Column, "kind" | "count" | "width" | "height"> {
  if (shape.length === 3) return { kind: "maps", count: shape[2], height: shape[0], width: shape[1] };
  const count = shape.reduce((a, b) => a * b, 1);
  if (count <= MOST_UNITS) return { kind: "units", count, width: 1, height: count };
  const width = Math.ceil(Math.sqrt(count * (name === "input" ? 1 : 0.5)));
  return { kind: "cells", count, width, height: Math.ceil(count / width) };
}

export function columnsOf({ data, layers }: Setup): Column[] {
  const columns: Column[] = [{ name: "input", title: "input", ...form(data.inputShape, "input"), between: [] }];
  let between: LayerLook[] = [];
  layers.forEach((layer, i) => {
    if (PASSING.has(layer.kind)) {
      between.push(layer);
      return;
    }
    const before = columns[columns.length - 1];
    const kernel = layer.parameters.find(({ name }) => name === `${layer.name}.kernel`);
    const parts = form(layer.outputShape, layer.name);
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
