/**
 * Kernels of the ops that look things up by index: gather, scatterAdd, oneHot, argmax, topK, toIndex.
 * A row number outside of its table is reported and read as row 0; the run then ends in an error.
 */
import { sizeOf } from "../../../graph/shape.ts";
import type { Step } from "../../../plan/plan.ts";
import { emitFused, load, spotInRows, storeWord } from "../fused.ts";
import { type Dispatch, flat, type KernelContext, type Writer } from "../kernel.ts";

/** The row number at a place of an index, as WGSL, looked at. */
function rowAt(writer: Writer, index: string, place: string, rows: number): string {
  writer.emit(`let row = m[${index} + ${place}];`);
  writer.emit(`if (row >= ${rows}u) { report(row, ${rows}u); }`);
  return writer.name(`select(row, 0u, row >= ${rows}u)`);
}

export function gather(step: Step, context: KernelContext): Dispatch[] {
  const { root } = step;
  const [table, index] = root!.inputs;
  const count = sizeOf(table.shape.slice(1));
  return [
    flat(sizeOf(root!.shape), (writer, i) => {
      const [number, column] = [writer.name(`${i} / ${count}u`), writer.name(`${i} % ${count}u`)];
      const row = rowAt(writer, context.base(index), number, table.shape[0]);
      const source = writer.name(`${row} * ${count}u + ${column}`);
      // Integers are moved as they are.
      if (root!.dtype === "int") storeWord(writer, root!, i, `m[${context.base(table)} + ${source}]`, context);
      else
        emitFused(
          writer,
          step,
          context,
          spotInRows(step, { full: i, row: number, column }),
          load(table, source, context),
        );
    }),
  ];
}

/**
 * Rows with the same number are chained: a dispatch finds, for each, the next one and whether there is one before. Then the
 * first of each chain adds it up in its order, so that no two invocations write to one place, and the bits are always
 * the same.
 */
export function scatterAdd({ root }: Step, context: KernelContext): Dispatch[] {
  const [x, index] = root!.inputs;
  const count = sizeOf(index.shape);
  const width = sizeOf(root!.shape.slice(1));
  const [numbers, next] = [context.base(index), context.scratch(count)];
  const [isFirst, isLast] = [0x80000000, 0x7fffffff];
  return [
    flat(sizeOf(root!.shape), (writer, i) => storeWord(writer, root!, i, "0u", context)),
    flat(count, (writer, i) => {
      const row = rowAt(writer, numbers, i, root!.shape[0]);
      writer.emit(`var link = ${isFirst}u;`);
      writer.emit(`for (var j = 0u; j < ${i}; j++) { if (m[${numbers} + j] == ${row}) { link = 0u; break; } }`);
      writer.emit(`var after = ${isLast}u;`);
      writer.emit(
        `for (var j = ${i} + 1u; j < ${count}u; j++) { if (m[${numbers} + j] == ${row}) { after = j; break; } }`,
      );
      writer.emit(`m[${next} + ${i}] = link | after;`);
    }),
    flat(count * width, (writer, i) => {
      const [number, column] = [writer.name(`${i} / ${width}u`), writer.name(`${i} % ${width}u`)];
      writer.emit(`if ((m[${next} + ${number}] & ${isFirst}u) == 0u) { return; }`);
      const row = writer.name(`min(m[${numbers} + ${number}], ${root!.shape[0] - 1}u)`);
      writer.emit("var sum = 0f;");
      writer.emit(`for (var j = ${number}; j != ${isLast}u; j = m[${next} + j] & ${isLast}u) {`);
      writer.emit(`  sum += ${load(x, `j * ${width}u + ${column}`, context)};`);
      writer.emit("}");
      storeWord(writer, root!, `${row} * ${width}u + ${column}`, "bitcast<u32>(sum)", context);
    }),
  ];
}

export function oneHot({ root }: Step, context: KernelContext): Dispatch[] {
  const classes = root!.shape.at(-1)!;
  return [
    flat(sizeOf(root!.shape), (writer, i) => {
      const label = `m[${context.base(root!.inputs[0])} + ${i} / ${classes}u]`;
      storeWord(writer, root!, i, `bitcast<u32>(select(0f, 1f, ${label} == ${i} % ${classes}u))`, context);
    }),
  ];
}

export function toIndex({ root }: Step, context: KernelContext): Dispatch[] {
  const { limit } = root!.attributes as { limit: number };
  return [
    flat(sizeOf(root!.shape), (writer, i) => {
      const x = writer.name(load(root!.inputs[0], i, context));
      // The comparisons stand so that NaN becomes 0; floats beyond 2²⁴ are not exact, so the end is kept among integers.
      const number = `select(0u, u32(min(${x}, 2147483520f)), ${x} > 0f)`;
      storeWord(writer, root!, i, `min(${number}, ${limit - 1}u)`, context);
    }),
  ];
}

/** An invocation is a row. */
export function argmax({ root }: Step, context: KernelContext): Dispatch[] {
  const [x] = root!.inputs;
  const classes = x.shape.at(-1)!;
  return [
    flat(sizeOf(root!.shape), (writer, i) => {
      writer.emit("var best = 0u;");
      writer.emit(`var largest = ${load(x, `${i} * ${classes}u`, context)};`);
      writer.emit(`for (var j = 1u; j < ${classes}u; j++) {`);
      writer.emit(`  let value = ${load(x, `${i} * ${classes}u + j`, context)};`);
      writer.emit("  if (value > largest) { largest = value; best = j; }");
      writer.emit("}");
      storeWord(writer, root!, i, "best", context);
    }),
  ];
}

/** An invocation is a row. Each place after the first is that of the largest element which comes after the one before. */
export function topK({ root }: Step, context: KernelContext): Dispatch[] {
  const [x] = root!.inputs;
  const [n, k] = [x.shape.at(-1)!, root!.shape.at(-1)!];
  return [
    flat(sizeOf(root!.shape) / k, (writer, i) => {
      writer.emit("var before = -1i;");
      writer.emit("var limit = bitcast<f32>(infinityBits);");
      writer.emit(`for (var place = 0u; place < ${k}u; place++) {`);
      writer.emit("  var best = -1i;");
      writer.emit("  var largest = -bitcast<f32>(infinityBits);");
      writer.emit(`  for (var j = 0i; j < ${n}i; j++) {`);
      writer.emit(`    let value = ${load(x, `${i} * ${n}u + u32(j)`, context)};`);
      // After the one before: smaller, or as large and further on. Then the first of the largest of those.
      writer.emit("    let isNext = value < limit || (value == limit && j > before);");
      writer.emit("    if (isNext && (value > largest || best < 0i)) { largest = value; best = j; }");
      writer.emit("  }");
      writer.emit("  limit = largest;");
      writer.emit("  before = best;");
      storeWord(writer, root!, `${i} * ${k}u + place`, "bitcast<u32>(best)", context);
      writer.emit("}");
    }),
  ];
}
