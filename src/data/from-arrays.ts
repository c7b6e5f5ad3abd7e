/**
 * Makes data sets from arrays: shaped ones, as files hold them, and plain ones, as programs do. Here, once for all
 * formats, it is decided what are labels, one-hot labels and targets. What a data set is, dataset.ts says.
 */
import { checkOptionNames } from "../checks.ts";
import { ArgumentError, DataError } from "../errors.ts";
import type { NumberArray, ShapedArray, TypedArray } from "./arrays.ts";
import { checkDataset, type Dataset, rowSize, type Task } from "./dataset.ts";
import { dataError, list, show } from "./fail.ts";
import { flattenNested, type Nested, nestedShape } from "./nested.ts";

/** An array, and the file it came from, for messages. */
export interface NamedArray extends ShapedArray {
  readonly file?: string;
}

/** What the numbers of `y` are, where it should not be found from their type. */
export interface TargetOptions {
  readonly task?: Task;
  /** Names of the classes; label 0 is the first. By default the numbers up to the largest label. */
  readonly classes?: readonly string[];
}

/**
 * A checked data set from an array of inputs [N, …] and one of labels [N], one-hot labels [N, K], or targets [N] or [N, K].
 *
 * Labels are whole-number types (as `Uint8Array`) and one-hot rows; rows of several ones, or none, are several labels at
 * once; floats are targets, unless `task` says otherwise.
 * Pixels (`Uint8Array`) of shape [N, H, W] become grey images [H, W, 1]; other inputs keep their shape, as sequences do.
 * `Uint8Array` inputs stay so; others become `Float32Array`.
 * Throws `DataError` when counts do not match, for labels out of range, NaN and infinity.
 *
 * @example
 * import { arraysToDataset } from "chainrule/data";
 * const data = arraysToDataset(
 *   { shape: [2, 1, 2], data: new Uint8Array([0, 255, 255, 0]) }, { shape: [2], data: new Uint8Array([1, 0]) },
 * );
 * console.log(data.inputShape, data.classes); // [ 1, 2, 1 ] [ '0', '1' ]
 */
export function arraysToDataset(x: NamedArray, y: NamedArray, options: TargetOptions = {}): Dataset {
  checkOptionNames("arraysToDataset", options, ["task", "classes"]);
  const isGrey = x.shape.length === 3 && x.data instanceof Uint8Array;
  return shapedToDataset(isGrey ? { ...x, shape: [...x.shape, 1] } : x, y, options);
}

/** The same for inputs whose shape is as it should be. */
function shapedToDataset(x: NamedArray, y: NamedArray, options: TargetOptions): Dataset {
  const [count, ...inputShape] = x.shape;
  if (inputShape.length === 0)
    throw dataError(
      `the inputs have shape ${show([...x.shape])}; wanted is one row or image for every label. Are inputs and labels exchanged?`,
      fileOf(x),
    );
  if (y.shape[0] !== count)
    throw dataError(
      `there are ${y.shape[0] ?? 1} labels for ${count} rows${x.file ? ` in ${x.file}` : ""}; take both from the same set.`,
      fileOf(y),
    );
  const width = rowSize(y.shape.slice(1));
  const values = Float64Array.from(y.data as ArrayLike<number>, Number);
  const oneHot = width > 1 && (options.task ?? "classification") === "classification" && isOneHot(values, width);
  const real = y.data instanceof Float32Array || y.data instanceof Float64Array;
  const several = width > 1 && !oneHot && !real && values.every((value) => value === 0 || value === 1);
  const task = options.task ?? (several ? "multilabel" : real && !oneHot ? "regression" : "classification");
  if (task === "classification" && width !== 1 && !oneHot)
    throw dataError(
      `the labels have shape ${show([...y.shape])}; wanted is one label for each row, one-hot rows, or a 0 or 1 for each label.`,
      fileOf(y),
    );
  const dataset: Dataset = {
    x: toFeatures(x.data),
    count,
    inputShape,
    task,
    ...(task !== "classification"
      ? {
          y: Float32Array.from(values),
          ...(task === "multilabel" && options.classes && { classes: [...options.classes] }),
        }
      : toLabels(oneHot ? argmax(values, width) : values, y, options.classes)),
  };
  checkDataset(dataset, x.file);
  return dataset;
}

function fileOf(array: NamedArray): { file?: string } {
  return array.file === undefined ? {} : { file: array.file };
}

function toFeatures(data: TypedArray): Uint8Array | Float32Array {
  if (data instanceof Uint8Array || data instanceof Float32Array) return data;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float32Array.from(data, Number);
  return new Float32Array(data);
}

function toLabels(values: Float64Array, y: NamedArray, classes: readonly string[] | undefined) {
  const limit = classes?.length ?? Math.max(values.length, 256); // a larger one is damage, and would make as many classes
  let top = 0;
  values.forEach((label, row) => {
    if (!Number.isInteger(label) || label < 0 || label >= limit)
      throw dataError(
        `the label is ${label}; wanted is a whole number from 0 to ${limit - 1}. Correct it, or take another file.`,
        {
          ...fileOf(y),
          row: row + 1,
        },
      );
    top = Math.max(top, label);
  });
  return {
    y: Int32Array.from(values),
    classes: classes ? [...classes] : Array.from({ length: top + 1 }, (_, i) => String(i)),
  };
}

/** Whether every row is one 1 among zeros. */
function isOneHot(values: Float64Array, width: number): boolean {
  for (let from = 0; from < values.length; from += width) {
    const row = values.subarray(from, from + width);
    if (!row.every((value) => value === 0 || value === 1) || row.indexOf(1) !== row.lastIndexOf(1) || !row.includes(1))
      return false;
  }
  return true;
}

function argmax(values: Float64Array, width: number): Float64Array {
  return Float64Array.from({ length: values.length / width }, (_, row) => values.subarray(row * width).indexOf(1));
}

/** What `toDataset` takes. */
export interface PlainData extends TargetOptions {
  /** Features: nested arrays, one per row; or flat, with `inputShape`. */
  readonly x: Nested | NumberArray;
  /** Whole-number labels, class names, one-hot rows, a 0 or 1 for each of several labels, or targets. */
  readonly y: readonly string[] | Nested | NumberArray;
  /** Shape of one row; found from nested arrays, wanted for flat ones. */
  readonly inputShape?: readonly number[];
  /** Names of the features. */
  readonly features?: readonly string[];
}

/**
 * A checked data set from plain or typed arrays.
 *
 * Whole numbers in a plain `y` are labels, others targets; for typed arrays see `arraysToDataset`.
 * The shape of a row is that of the nested arrays, or `inputShape`: [N][48][1] are sequences of shape [48, 1].
 * Throws `ShapeError` for ragged rows, `DataError` for lengths that do not agree, labels out of range, NaN and infinity.
 *
 * @example
 * import { toDataset } from "chainrule/data";
 * const data = toDataset({ x: [[0, 1], [2, 3]], y: ["no", "yes"] });
 * console.log(data.classes, data.y); // [ 'no', 'yes' ] Int32Array(2) [ 0, 1 ]
 */
export function toDataset(data: PlainData): Dataset {
  checkOptionNames("toDataset", data, ["x", "y", "inputShape", "features", "task", "classes"]);
  if (data.x === undefined || data.y === undefined)
    throw new ArgumentError("toDataset takes { x, y }: rows, and the class or the target of each.");
  const { task, features } = data;
  const { y, classes } =
    typeof data.y[0] === "string"
      ? fromNames(data.y as readonly string[], data.classes)
      : { ...data, y: data.y as Nested | NumberArray };
  let x = toShaped(data.x, "x");
  if (data.inputShape !== undefined) {
    const count = x.data.length / rowSize(data.inputShape);
    if (!Number.isInteger(count))
      throw new DataError(
        `x has ${x.data.length} numbers, which rows of shape ${show([...data.inputShape])} do not divide; make them agree.`,
      );
    x = { shape: [count, ...data.inputShape], data: x.data };
  } else if (x.shape.length === 1) x = { shape: [x.shape[0], 1], data: x.data };
  const width = rowSize(x.shape.slice(1));
  if (features && features.length !== width)
    throw new DataError(`There are ${features.length} names of features for ${width} features; give one each.`);
  const dataset = shapedToDataset(x, toShaped(y, "y"), { ...(task ? { task } : {}), ...(classes ? { classes } : {}) });
  return features ? { ...dataset, features: [...features] } : dataset;
}

function fromNames(names: readonly string[], known: readonly string[] | undefined) {
  const classes = known ?? [...new Set(names)].sort();
  const index = new Map(classes.map((name, i) => [name, i]));
  const y = names.map((name, row) => {
    const label = index.get(name);
    if (label === undefined)
      throw dataError(`the class is ${show(name)}; known are ${list(classes)}.`, { row: row + 1 });
    return label;
  });
  return { y, classes };
}

/** Plain arrays of whole numbers as `Int32Array`, others as `Float32Array`; typed ones as they are. */
function toShaped(value: Nested | NumberArray, what: string): ShapedArray<NumberArray> {
  if (ArrayBuffer.isView(value)) return { shape: [value.length], data: value };
  const shape = nestedShape(value);
  const numbers = flattenNested(value, shape.slice(1), what, Float64Array);
  const whole = numbers.every((number) => Number.isInteger(number) && Math.abs(number) < 2 ** 31);
  return { shape, data: whole ? Int32Array.from(numbers) : Float32Array.from(numbers) };
}
