/**
 * Sums of products in tiles: what matrix products and convolutions are computed with. A workgroup computes a tile of y:
 * sixteen k at a time, the rows of a and the columns of b that it needs are brought to workgroup memory, where every
 * invocation takes its few rows by few columns from; sums and the elementwise epilogue stay in registers.
 *
 * Reckoned for 128 × 128 tiles with 8 × 8 sums each: 256 invocations, 2 · 16 · 128 · 4 = 16 KB of workgroup memory and some
 * 64 + 16 + 20 registers, so that two workgroups (16 warps) fit a multiprocessor of 64 K registers and 32 KB. Every 16
 * loads from workgroup memory feed 64 multiply-adds. Invocations of a warp read the same rows of a (one broadcast) and
 * neighbouring columns of b: no bank is asked twice.
 */
import type { Step } from "../../../plan/plan.ts";
import { emitFused, spotInRows } from "../fused.ts";
import { type Dispatch, flat, type KernelContext, Writer } from "../kernel.ts";

/** y[g, i, j] = Σ over k of a(g, i, k) · b(g, k, j). */
export interface Product {
  readonly groups: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** An element of a, by names of numbers; they lie within. Neighbours in memory are those along `aAlong`. */
  a(writer: Writer, group: string, row: string, inner: string): string;
  b(writer: Writer, group: string, inner: string, column: string): string;
  readonly aAlong: "row" | "inner";
  readonly bAlong: "inner" | "column";
  /** Where y[g, i, j] is: numbers of elements in arrays of the step's space, its rows and its columns. */
  place(writer: Writer, group: string, row: string, column: string): { full: string; row: string; column: string };
}

interface Tile {
  readonly rows: number;
  readonly columns: number;
  /** Rows, and columns, of one invocation. */
  readonly each: number;
  /** k at a time. */
  readonly depth: number;
}

/** Workgroups that fill a device: two for each of some hundred multiprocessors. */
const MANY = 256;

/** The largest tile of which there are enough to fill a device, and which a small result does not leave empty. */
function tileFor({ groups, m, n }: Product): Tile {
  const tiles: Tile[] = [
    { rows: 128, columns: 128, each: 8, depth: 16 },
    { rows: 64, columns: 64, each: 4, depth: 16 },
    { rows: 32, columns: 32, each: 4, depth: 32 },
    { rows: 16, columns: 16, each: 2, depth: 32 },
  ];
  const countOf = ({ rows, columns }: Tile): number => groups * Math.ceil(m / rows) * Math.ceil(n / columns);
  const fits = ({ rows, columns }: Tile): boolean => m > rows / 2 && n > columns / 2;
  return tiles.find((tile) => fits(tile) && countOf(tile) >= MANY) ?? tiles.findLast((tile) => fits(tile)) ?? tiles[3];
}

/** In how many parts the sums over k are taken, where there are too few tiles to fill a device. */
const splitOf = (tiles: number, k: number): number =>
  Math.max(1, Math.min(Math.floor(k / 128), Math.floor(MANY / 2 / tiles)));

export function product(step: Step, context: KernelContext, p: Product): Dispatch[] {
  const tile = tileFor(p);
  const { rows, columns, each, depth } = tile;
  const [down, right] = [Math.ceil(p.m / rows), Math.ceil(p.n / columns)];
  const split = splitOf(down * right * p.groups, p.k);
  const part = Math.ceil(p.k / split / depth) * depth;
  const size = (rows * columns) / (each * each);
  const partials = split > 1 ? context.scratch(split * p.groups * p.m * p.n) : "";
  const range = [...Array(each).keys()];

  const writer = new Writer("w");
  writer.emit(`let tx = lane % ${columns / each}u;`);
  writer.emit(`let ty = lane / ${columns / each}u;`);
  const group = split > 1 ? writer.name(`group.z / ${split}u`) : "group.z";
  const part0 = split > 1 ? writer.name(`group.z % ${split}u`) : "0u";
  writer.emit(`let firstRow = group.y * ${rows}u;`);
  writer.emit(`let firstColumn = group.x * ${columns}u;`);
  for (const i of range) for (const j of range) writer.emit(`var s${i}_${j} = 0f;`);
  writer.emit(`let begin = ${part0} * ${part}u;`);
  writer.emit(`let end = min(begin + ${part}u, ${p.k}u);`);
  writer.emit(`for (var k0 = begin; k0 < end; k0 += ${depth}u) {`);
  writer.emit(
    bring("aTile", depth, rows, size, p.aAlong === "row", "firstRow", p.m, (w, row, k) => p.a(w, group, row, k)),
  );
  writer.emit(
    bring("bTile", depth, columns, size, p.bAlong === "column", "firstColumn", p.n, (w, column, k) =>
      p.b(w, group, k, column),
    ),
  );
  writer.emit("workgroupBarrier();");
  writer.emit(`for (var l = 0u; l < ${depth}u; l++) {`);
  // Of its columns, an invocation has every so manyth, so that neighbours read, and store, side by side.
  for (const i of range) writer.emit(`let a${i} = aTile[l * ${rows + PAD}u + ty * ${each}u + ${i}u];`);
  for (const j of range) writer.emit(`let b${j} = bTile[l * ${columns + PAD}u + tx + ${(j * columns) / each}u];`);
  for (const i of range) for (const j of range) writer.emit(`s${i}_${j} = fma(a${i}, b${j}, s${i}_${j});`);
  writer.emit("}");
  writer.emit("workgroupBarrier();");
  writer.emit("}");
  // What follows a sum may be long, and is written once.
  writer.emit(
    `var sums = array<f32, ${each * each}>(${range.flatMap((i) => range.map((j) => `s${i}_${j}`)).join(", ")});`,
  );
  writer.emit(`for (var e = 0u; e < ${each * each}u; e++) {`);
  const [row, column] = [`e / ${each}u`, `e % ${each}u * ${columns / each}u`];
  writer.emit(
    `  finish(${group}, ${part0}, firstRow + ty * ${each}u + ${row}, firstColumn + tx + ${column}, sums[e]);`,
  );
  writer.emit("}");

  const end = new Writer("e");
  end.emit(`if (row >= ${p.m}u || column >= ${p.n}u) { return; }`);
  if (split === 1) finish(end, step, context, p, "g", "row", "column", "sum");
  else end.emit(`m[${partials} + ((part * ${p.groups}u + g) * ${p.m}u + row) * ${p.n}u + column] = bitcast<u32>(sum);`);
  const declarations = [
    `var<workgroup> aTile: array<f32, ${depth * (rows + PAD)}>;`,
    `var<workgroup> bTile: array<f32, ${depth * (columns + PAD)}>;`,
    `fn finish(g: u32, part: u32, row: u32, column: u32, sum: f32) {\n${end}}`,
  ].join("\n");
  const dispatch: Dispatch = { body: String(writer), declarations, size, groups: [right, down, p.groups * split] };
  if (split === 1) return [dispatch];
  const whole = p.groups * p.m * p.n;
  const second = flat(whole, (writer, i) => {
    writer.emit("var sum = 0f;");
    writer.emit(`for (var part = 0u; part < ${split}u; part++) {`);
    writer.emit(`  sum += bitcast<f32>(m[${partials} + part * ${whole}u + ${i}]);`);
    writer.emit("}");
    const [row, column] = [writer.name(`${i} / ${p.n}u % ${p.m}u`), writer.name(`${i} % ${p.n}u`)];
    finish(writer, step, context, p, writer.name(`${i} / ${p.m * p.n}u`), row, column, "sum");
  });
  return [dispatch, second];
}

function finish(
  writer: Writer,
  step: Step,
  context: KernelContext,
  p: Product,
  group: string,
  row: string,
  column: string,
  sum: string,
): void {
  emitFused(writer, step, context, spotInRows(step, p.place(writer, group, row, column)), sum);
}

/** Elements by which a line of a tile is longer than it must be, so that writing down its columns meets other banks. */
const PAD = 1;

/**
 * Brings depth × `width` elements to workgroup memory, zeros where there are none. Neighbouring invocations read
 * neighbours in memory.
 * @param across whether those lie along the width, and not along k
 */
function bring(
  name: string,
  depth: number,
  width: number,
  size: number,
  across: boolean,
  first: string,
  limit: number,
  element: (writer: Writer, x: string, k: string) => string,
): string {
  const count = depth * width;
  const writer = new Writer("t");
  writer.emit(`for (var e = lane; e < ${count}u; e += ${size}u) {`);
  const inner = new Writer(name[0]);
  const x = inner.name(across ? `e % ${width}u` : `e / ${depth}u`);
  const l = inner.name(across ? `e / ${width}u` : `e % ${depth}u`);
  const at = inner.name(`${first} + ${x}`);
  const k = inner.name(`k0 + ${l}`);
  inner.emit(`var element = 0f;`);
  inner.emit(`if (${at} < ${limit}u && ${k} < end) {`);
  const guarded = new Writer(`${name[0]}g`);
  const value = element(guarded, at, k);
  guarded.emit(`element = ${value};`);
  inner.emit(`${guarded}}`);
  inner.emit(`${name}[${l} * ${width + PAD}u + ${x}] = element;`);
  writer.emit(`${inner}}`);
  return String(writer);
}

/** y as the matrix that it is: rows of n columns, m of them for each group. */
export const placeInMatrix =
  (m: number, n: number, groups: number) =>
  (writer: Writer, group: string, row: string, column: string): { full: string; row: string; column: string } => {
    const all = groups === 1 ? row : writer.name(`${group} * ${m}u + ${row}`);
    return { full: writer.name(`${all} * ${n}u + ${column}`), row: all, column };
  };
