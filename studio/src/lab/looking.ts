/** Makes what the page is shown of data and of a model: maps of the plane, rows, results. It changes nothing. */
import type { Model } from "chainrule";
import type { Dataset, TableSchema } from "chainrule/data";
import type { DataLook, MapLook, Results, RowLook } from "./looks.ts";
import type { Run } from "./run.ts";
import { type Spec, TOYS } from "./spec.ts";

/** Cells of a map along each side; of the small ones in the units. */
const [MAP, UNIT_MAP] = [56, 20];
/** Units that have a small map of their own. */
const MAPPED_UNITS = 40;
/** Rows that results are made of, at most. */
const RESULT_ROWS = 4000;
const WORST = 12;

const classNames = ({ task, classes, y }: Dataset): readonly string[] =>
  task === "classification" ? (classes ?? [...new Set(y)].sort((a, b) => a - b).map(String)) : [];

export function lookAtRow(data: Dataset, row: number, heldOut: boolean): RowLook {
  const size = data.x.length / data.count;
  const classes = classNames(data);
  return {
    row,
    heldOut,
    x: [...data.x.subarray(row * size, (row + 1) * size)],
    target:
      classes[data.y[row]] ??
      [...data.y.slice((row * data.y.length) / data.count, ((row + 1) * data.y.length) / data.count)]
        .map((y) => Number(y.toPrecision(6)))
        .join(", "),
  };
}

function titleOf({ data }: Spec): string {
  if (data.kind === "toy") return TOYS[data.name].title;
  if (data.kind === "digits") return "Digits (a part of MNIST)";
  if (data.kind === "rows") return data.title;
  return data.kind === "file" ? data.name : "My points";
}

/** x0, x1, class or x, y, 0, point by point. */
function pointsOf(data: Dataset | undefined): Float32Array {
  if (!data) return new Float32Array(0);
  const isPlane = data.inputShape[0] === 2;
  return Float32Array.from({ length: data.count * 3 }, (_, i) => {
    const row = Math.floor(i / 3);
    if (i % 3 === 2) return isPlane ? data.y[row] : 0;
    return isPlane ? data.x[row * 2 + (i % 3)] : i % 3 === 0 ? data.x[row] : data.y[row];
  });
}

const hasMap = ({ inputShape, task, y, count }: Dataset): boolean =>
  (inputShape.length === 1 && inputShape[0] === 2 && y.length === count) ||
  (inputShape.length === 1 && inputShape[0] === 1 && task === "regression" && y.length === count);

export function lookAtData(spec: Spec, run: Run, data: Dataset & { readonly notes?: readonly unknown[] }): DataLook {
  const { train, heldOut } = run;
  const schema: TableSchema | undefined = data.schema;
  const width = data.inputShape.reduce((a, b) => a * b, 1);
  return {
    title: titleOf(spec),
    ...(spec.data.kind === "toy" && { toy: spec.data.name }),
    task: data.task === "regression" ? "regression" : "classification",
    inputShape: data.inputShape,
    features: data.features ?? (data.inputShape.length === 1 ? Array.from({ length: width }, (_, i) => `x${i}`) : []),
    classes: classNames(data),
    train: train.count,
    heldOut: heldOut?.count ?? 0,
    ...(schema && { columns: schema.columns, target: schema.target.name }),
    ...(hasMap(data) && { points: { train: pointsOf(train), heldOut: pointsOf(heldOut) } }),
    notes: (data.notes ?? []).map(inWords),
  };
}

/** Notes are texts with the names of options in them as data. */
const inWords = (note: unknown): string =>
  typeof note === "string"
    ? note
    : (note as readonly (string | { option: string; value?: unknown })[])
        .map((part) =>
          typeof part === "string" ? part : `${part.option}${part.value === undefined ? "" : ` ${part.value}`}`,
        )
        .join("");

/** The range of a feature, and a margin around it. */
function rangeOf(x: ArrayLike<number>, feature: number, width: number): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = feature; i < x.length; i += width) {
    if (x[i] < low) low = x[i];
    if (x[i] > high) high = x[i];
  }
  const margin = (high - low) * 0.12 || 1;
  return [low - margin, high + margin];
}

/** The points of a grid, row by row from the top. */
function gridOf(size: number, low: readonly number[], high: readonly number[]): Float32Array {
  const at = (axis: number, i: number): number => low[axis] + ((high[axis] - low[axis]) * (i + 0.5)) / size;
  if (low.length === 1) return Float32Array.from({ length: size }, (_, i) => at(0, i));
  return Float32Array.from({ length: size * size * 2 }, (_, i) => {
    const cell = i >> 1;
    return i % 2 === 0 ? at(0, cell % size) : at(1, size - 1 - Math.floor(cell / size));
  });
}

/** What a model makes of the plane, or of the line; nothing where rows have more features. */
export async function lookAtMap(run: Run, model: Model): Promise<MapLook | undefined> {
  const { train } = run;
  if (!hasMap(train)) return undefined;
  const features = train.inputShape[0];
  const ranges = Array.from({ length: features }, (_, i) => rangeOf(train.x, i, features));
  const [low, high] = [ranges.map(([l]) => l), ranges.map(([, h]) => h)];
  const size = features === 1 ? 160 : MAP;
  const grid = gridOf(size, low, high);
  const values =
    train.task === "classification" ? (await model.classify(grid)).probabilities : await model.predict(grid);
  const mapped = model.network.layers.filter(
    ({ outputShape }) => outputShape.length === 1 && outputShape[0] <= MAPPED_UNITS,
  );
  const coarse = features === 1 ? 40 : UNIT_MAP;
  const all = await model.intermediates(gridOf(coarse, low, high));
  return {
    ...{ low, high, size, values },
    width: values.length / (features === 1 ? size : size * size),
    units: {
      size: coarse,
      layers: Object.fromEntries(mapped.map(({ name }) => [name, Float32Array.from(all[name].data)])),
    },
  };
}

export async function lookAtResults(run: Run, model: Model, heldOut: boolean): Promise<Results> {
  const all = heldOut && run.heldOut ? run.heldOut : run.train;
  const isHeld = heldOut && run.heldOut !== undefined;
  const count = Math.min(all.count, RESULT_ROWS);
  const size = all.x.length / all.count;
  const part: Dataset = {
    ...all,
    x: all.x.subarray(0, count * size),
    y: all.y.subarray(0, (count * all.y.length) / all.count),
    count,
  };
  const scores = await model.evaluate(part, {
    loss: run.loss,
    metrics: all.task === "regression" ? ["meanAbsoluteError"] : ["accuracy"],
  });
  const worst = (losses: readonly number[], said: (row: number) => string) =>
    [...losses.keys()]
      .sort((a, b) => losses[b] - losses[a])
      .slice(0, WORST)
      .map((row) => ({ ...lookAtRow(part, row, isHeld), loss: losses[row], said: said(row) }));
  if (all.task === "regression") {
    const given = await model.predict(part);
    const width = given.length / count;
    const losses = Array.from({ length: count }, (_, row) => Math.abs(given[row * width] - part.y[row * width]));
    return {
      heldOut: isHeld,
      pairs: Array.from(
        { length: Math.min(count, 600) },
        (_, row) => [given[row * width], part.y[row * width]] as const,
      ),
      worst: worst(losses, (row) => given[row * width].toPrecision(4)),
      scores,
    };
  }
  const { classes: said, probabilities } = await model.classify(part);
  const names = classNames(all);
  const counts = names.map(() => names.map(() => 0));
  const rows = names.map(() => names.map((): number[] => []));
  const losses: number[] = [];
  for (let row = 0; row < count; row++) {
    const truth = part.y[row];
    counts[truth][said[row]]++;
    if (rows[truth][said[row]].length < 24) rows[truth][said[row]].push(row);
    losses.push(-Math.log(Math.max(probabilities[row * names.length + truth], 1e-30)));
  }
  return { heldOut: isHeld, confusion: { counts, rows }, worst: worst(losses, (row) => names[said[row]]), scores };
}
