/**
 * Sums of products in tiles: what matrix products and convolutions are computed with. A workgroup computes a tile of y:
 * some k at a time, the rows of a and the columns of b that it needs are brought to workgroup memory, where every
 * invocation takes its few rows by few columns from; sums and the elementwise epilogue stay in registers. Where fours of
 * neighbours lie well, memory is read in vectors.
 *
 * Reckoned for 128 × 128 tiles with 8 × 8 sums each: 256 invocations, 2 · 16 · 129 · 4 = 16.5 KB of workgroup memory and some
 * 64 + 16 + 20 registers, so that two workgroups (16 warps) fit a multiprocessor of 64 K registers. For each k an invocation
 * reads its rows of a as two vectors, the same for half a warp, and its columns of b one by one, each beside its
 * neighbours': no bank is asked twice, and 10 reads feed 64 multiply-adds. Results are stored side by side. Where tiles
 * fill the result, nothing is asked of edges.
 */
import type { Step } from "../../../plan/plan.ts";
import { emitFused, spotInRows } from "../fused.ts";
import { type Dispatch, flat, type KernelContext, vectorWord, Writer } from "../kernel.ts";

/** Tells an element of an operand, or four neighbours, by names of numbers; they lie within. */
export type Element = (writer: Writer, group: string, x: string, k: string, context: KernelContext) => string;

export interface Operand {
  /** An element: of row x of a, of column x of b. */
  readonly one: Element;
  /** The element and the three after it; undefined where they do not lie in one vector. */
  readonly four: Element | undefined;
  /** Whether neighbours in memory belong to neighbouring x, and not to neighbouring k. */
  readonly across: boolean;
}

/** y[g, i, j] = Σ over k of a(g, i, k) · b(g, j, k). */
export interface Product {
  readonly groups: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Operand;
  readonly b: Operand;
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

const TILES: readonly Tile[] = [
  { rows: 128, columns: 128, each: 8, depth: 16 },
  { rows: 64, columns: 64, each: 4, depth: 16 },
  { rows: 32, columns: 32, each: 4, depth: 32 },
  { rows: 16, columns: 16, each: 2, depth: 32 },
];

/**
 * The lengths of a tile's lines, one for each k, in workgroup memory: longer than they must be, so that writing down their
 * columns meets other banks. Those of a are read in vectors where an invocation has four rows.
 */
const linesOf = ({ rows, columns, each }: Tile) => ({ a: rows + (each % 4 === 0 ? 4 : 1), b: columns + 1 });

/** Rows of tiles along x before they go on along y: a device takes 65,535 workgroups along each. */
const MOST_DOWN = 32768;

/** Workgroups that fill a device: two for each of some hundred multiprocessors. */
const MANY = 256;

/** The largest tile of which there are enough to fill a device, and which a small result does not leave empty. */
function tileFor({ groups, m, n }: Product, { workgroupBytes }: KernelContext): Tile {
  const tiles = TILES.filter((tile) => 4 * (linesOf(tile).a + linesOf(tile).b) * tile.depth <= workgroupBytes);
  const countOf = ({ rows, columns }: Tile): number => groups * Math.ceil(m / rows) * Math.ceil(n / columns);
  const fits = ({ rows, columns }: Tile): boolean => m > rows / 2 && n > columns / 2;
  const fitting = tiles.filter(fits);
  return fitting.find((tile) => countOf(tile) >= MANY) ?? fitting.at(-1) ?? tiles[tiles.length - 1];
}

/** In how many parts the sums over k are taken, where there are too few tiles to fill a device. */
const splitOf = (tiles: number, k: number): number =>
  Math.max(1, Math.min(Math.floor(k / 128), Math.floor(MANY / 2 / tiles)));

export function product(step: Step, plain: KernelContext, p: Product): Dispatch[] {
  const tile = tileFor(p, plain);
  // Vectors serve where both operands lie in them.
  const vectors = p.a.four !== undefined && p.b.four !== undefined;
  const context: KernelContext = vectors ? { ...plain, word: vectorWord } : plain;
  const line = linesOf(tile);
  const wide = tile.each % 4 === 0;
  const bWide = vectors && p.b.across;
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
  const isFolded = down > MOST_DOWN;
  const batch = right === 1 ? "group.z" : writer.name(`group.z / ${right}u`);
  const group = split > 1 ? writer.name(`${batch} / ${split}u`) : batch;
  const part0 = split > 1 ? writer.name(`${batch} % ${split}u`) : "0u";
  writer.emit(`let firstRow = ${isFolded ? `(group.y * ${MOST_DOWN}u + group.x)` : "group.x"} * ${rows}u;`);
  writer.emit(`let firstColumn = ${right === 1 ? "0u" : `group.z % ${right}u * ${columns}u`};`);
  for (const i of range) for (const j of range) writer.emit(`var s${i}_${j} = 0f;`);
  writer.emit(`let begin = ${part0} * ${part}u;`);
  writer.emit(`let end = min(begin + ${part}u, ${p.k}u);`);
  writer.emit(`for (var k0 = begin; k0 < end; k0 += ${depth}u) {`);
  const fill = (name: string, operand: Operand, width: number, put: Put, first: string, limit: number): void => {
    const edges = { x: isFolded || limit % width !== 0, k: p.k % depth !== 0 };
    writer.emit(bring({ name, operand, width, depth, size, put, first, limit, edges, group, vectors, context }));
  };
  fill("aTile", p.a, rows, wide ? intoVectors(line.a) : intoFloats(line.a), "firstRow", p.m);
  fill("bTile", p.b, columns, bWide ? intoVectors(columns) : intoFloats(line.b), "firstColumn", p.n);
  writer.emit("workgroupBarrier();");
  writer.emit(`for (var l = 0u; l < ${depth}u; l++) {`);
  // Of its columns, an invocation has every so manyth, so that neighbours read, and store, side by side.
  if (wide)
    for (let i = 0; i < each; i += 4)
      writer.emit(`let a${i / 4} = aTile[l * ${line.a / 4}u + ty * ${each / 4}u + ${i / 4}u];`);
  else for (const i of range) writer.emit(`let a${i} = aTile[l * ${line.a}u + ty * ${each}u + ${i}u];`);
  for (const j of range) {
    const beyond = (j * columns) / each;
    const at = bWide ? `l * ${columns / 4}u + tx / 4u + ${beyond / 4}u][tx % 4u` : `l * ${line.b}u + tx + ${beyond}u`;
    writer.emit(`let b${j} = bTile[${at}];`);
  }
  const rowOf = (i: number): string => (wide ? `a${i >> 2}.${"xyzw"[i & 3]}` : `a${i}`);
  for (const i of range) for (const j of range) writer.emit(`s${i}_${j} = fma(${rowOf(i)}, b${j}, s${i}_${j});`);
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
  if (isFolded || p.m % rows !== 0 || p.n % columns !== 0)
    end.emit(`if (row >= ${p.m}u || column >= ${p.n}u) { return; }`);
  if (split === 1) finish(end, step, context, p, "g", "row", "column", "sum");
  else {
    const at = `${partials} + ((part * ${p.groups}u + g) * ${p.m}u + row) * ${p.n}u + column`;
    end.emit(`${context.word(at)} = bitcast<u32>(sum);`);
  }
  const declarations = [
    `var<workgroup> aTile: array<${wide ? `vec4<f32>, ${(depth * line.a) / 4}` : `f32, ${depth * line.a}`}>;`,
    `var<workgroup> bTile: array<${bWide ? `vec4<f32>, ${(depth * columns) / 4}` : `f32, ${depth * line.b}`}>;`,
    `fn finish(g: u32, part: u32, row: u32, column: u32, sum: f32) {\n${end}}`,
  ].join("\n");
  const dispatch: Dispatch = {
    body: String(writer),
    declarations,
    size,
    vectors,
    groups: [Math.min(down, MOST_DOWN), Math.ceil(down / MOST_DOWN), p.groups * split * right],
  };
  if (split === 1) return [dispatch];
  const whole = p.groups * p.m * p.n;
  const second = flat(whole, (writer, i) => {
    writer.emit("var sum = 0f;");
    writer.emit(`for (var part = 0u; part < ${split}u; part++) {`);
    writer.emit(`  sum += bitcast<f32>(m[${partials} + part * ${whole}u + ${i}]);`);
    writer.emit("}");
    const [row, column] = [writer.name(`${i} / ${p.n}u % ${p.m}u`), writer.name(`${i} % ${p.n}u`)];
    finish(writer, step, plain, p, writer.name(`${i} / ${p.m * p.n}u`), row, column, "sum");
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

/** Puts a value, or a vector of neighbours, into a tile: at x of line l, as WGSL. */
type Put = (name: string, l: string, x: string, value: string, isVector: boolean) => string;

const intoFloats =
  (line: number): Put =>
  (name, l, x, value, isVector) =>
    (isVector ? [0, 1, 2, 3] : [undefined])
      .map((c) => `${name}[${l} * ${line}u + ${x}${c ? ` + ${c}u` : ""}] = ${value}${c === undefined ? "" : `[${c}]`};`)
      .join(" ");

const intoVectors =
  (line: number): Put =>
  (name, l, x, value, isVector) =>
    `${name}[${l} * ${line / 4}u + ${x} / 4u]${isVector ? "" : `[${x} % 4u]`} = ${value};`;

interface Filling {
  readonly name: string;
  readonly operand: Operand;
  readonly width: number;
  readonly depth: number;
  /** Invocations that bring elements. */
  readonly size: number;
  readonly put: Put;
  /** The first x of the tile, and how many there are in all. */
  readonly first: string;
  readonly limit: number;
  /** Whether the last tile ends beyond the last x, the last k. */
  readonly edges: { readonly x: boolean; readonly k: boolean };
  readonly group: string;
  readonly vectors: boolean;
  readonly context: KernelContext;
}

/**
 * Brings depth × width elements to workgroup memory, zeros where there are none. Neighbouring invocations read neighbours
 * in memory, one or four each.
 */
function bring({
  name,
  operand,
  width,
  depth,
  size,
  put,
  first,
  limit,
  edges,
  group,
  vectors,
  context,
}: Filling): string {
  const { one, four, across } = operand;
  const step = vectors ? 4 : 1;
  const along = (across ? width : depth) / step;
  const times = step === 1 ? "" : ` * ${step}u`;
  const outer = new Writer("t");
  outer.emit(`for (var e = lane; e < ${(depth * width) / step}u; e += ${size}u) {`);
  const inner = new Writer(name[0]);
  const x = inner.name(across ? `e % ${along}u${times}` : `e / ${along}u`);
  const l = inner.name(across ? `e / ${along}u` : `e % ${along}u${times}`);
  const at = inner.name(`${first} + ${x}`);
  const k = inner.name(`k0 + ${l}`);
  inner.emit(vectors ? "var element = vec4<f32>(0f);" : "var element = 0f;");
  const inside = [...(edges.x ? [`${at} < ${limit}u`] : []), ...(edges.k ? [`${k} < end`] : [])];
  inner.emit(inside.length > 0 ? `if (${inside.join(" && ")}) {` : "{");
  const guarded = new Writer(`${name[0]}g`);
  guarded.emit(`element = ${(vectors ? four! : one)(guarded, group, at, k, context)};`);
  inner.emit(`${guarded}}`);
  if (!vectors) inner.emit(put(name, l, x, "element", false));
  else if (across) inner.emit(put(name, l, x, "element", true));
  else for (let c = 0; c < 4; c++) inner.emit(put(name, `(${l} + ${c}u)`, x, `element[${c}]`, false));
  outer.emit(`${inner}}`);
  return String(outer);
}

/** y as the matrix that it is: rows of n columns, m of them for each group. */
export const placeInMatrix =
  (m: number, n: number, groups: number) =>
  (writer: Writer, group: string, row: string, column: string): { full: string; row: string; column: string } => {
    const all = groups === 1 ? row : writer.name(`${group} * ${m}u + ${row}`);
    return { full: writer.name(`${all} * ${n}u + ${column}`), row: all, column };
  };
