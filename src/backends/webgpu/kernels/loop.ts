/**
 * Loops: steps of elementwise ops, which may end in reductions. One pass over memory, whatever the number of ops; where
 * few results have many terms, a second one adds up what each part of the terms gave. Every sum has an order of its own,
 * which depends on shapes alone, so that the bits are the same from run to run.
 *
 * A workgroup that reduces has 64 invocations, two warps or one wavefront, and 256 bytes of workgroup memory for each
 * reduction: as many workgroups as a multiprocessor takes (32) fill its 2048 places. Neighbouring invocations read
 * neighbouring elements: along the rows where the row is what is reduced, across the columns otherwise. The tree adds
 * element y + s to y for y < s, so that no two invocations of a warp meet in a bank.
 */
import { sizeOf } from "../../../graph/shape.ts";
import type { Step } from "../../../plan/plan.ts";
import { emitFused, spotAnywhere, spotInRows, storeFloat } from "../fused.ts";
import { type Dispatch, flat, type KernelContext, Writer } from "../kernel.ts";

interface Reduction {
  readonly start: string;
  combine(a: string, b: string): string;
}

const REDUCTIONS: Readonly<Record<string, Reduction>> = {
  sum: { start: "0f", combine: (a, b) => `${a} + ${b}` },
  max: { start: "-bitcast<f32>(infinityBits)", combine: (a, b) => `maximum(${a}, ${b})` },
};

export function loop(step: Step, context: KernelContext): Dispatch[] {
  if (step.reductions.length > 0) return reduce(step, context);
  return [flat(sizeOf(step.space), (writer, i) => void emitFused(writer, step, context, spotAnywhere(step.space, i)))];
}

const SIZE = 64;
/** Terms that one invocation adds up before it is worth having more of them. */
const FEW = 8;
/** Workgroups that fill a device. */
const MANY = 256;

/** The least power of two that is not less, up to a limit. */
const powerAbove = (n: number, most: number): number => Math.min(most, 2 ** Math.ceil(Math.log2(Math.max(1, n))));

/** [outer, reduced, inner] → [outer, inner]. */
function reduce(step: Step, context: KernelContext): Dispatch[] {
  const [first] = step.reductions;
  const { meaning } = first.op;
  if (meaning.kind !== "structural" || !meaning.reduces) throw new Error(`${first.op.name} is not a reduction.`);
  const { outer, reduced, inner } = meaning.reduces(first.inputs, first.attributes as never);
  const results = outer * inner;
  const rules = step.reductions.map((node, k) => ({ node, ...REDUCTIONS[node.op.name], total: `total${k}`, k }));
  /** Invocations side by side for each result; the rest of the workgroup is for other results. */
  const across = inner === 1 ? powerAbove(reduced, SIZE) : SIZE / powerAbove(inner, 32);
  const together = SIZE / across;
  const columns = Math.max(1, Math.ceil(results / together));
  const parts = Math.max(1, Math.min(Math.ceil(MANY / columns), Math.floor(reduced / (across * FEW))));
  const length = Math.ceil(reduced / parts);
  const partials = parts > 1 ? context.scratch(rules.length * parts * results) : "";

  const writer = new Writer();
  writer.emit(inner === 1 ? `let y = lane % ${across}u;` : `let y = lane / ${together}u;`);
  writer.emit(inner === 1 ? `let x = lane / ${across}u;` : `let x = lane % ${together}u;`);
  writer.emit(`let result = (group.y * ${GROUPS}u + group.x) * ${together}u + x;`);
  for (const { total, start } of rules) writer.emit(`var ${total} = ${start};`);
  writer.emit(`if (result < ${results}u) {`);
  writer.emit(`let end = min((group.z + 1u) * ${length}u, ${reduced}u);`);
  writer.emit(`for (var r = group.z * ${length}u + y; r < end; r += ${across}u) {`);
  const place = new Writer("p");
  const at =
    inner === 1
      ? { full: place.name(`result * ${reduced}u + r`), row: "result", column: "r" }
      : {
          row: place.name(`result / ${inner}u * ${reduced}u + r`),
          column: place.name(`result % ${inner}u`),
          full: "",
        };
  if (inner !== 1) at.full = place.name(`${at.row} * ${inner}u + ${at.column}`);
  const value = emitFused(place, step, context, spotInRows(step, at));
  for (const { node, total, combine } of rules) place.emit(`${total} = ${combine(total, value(node.inputs[0]))};`);
  writer.emit(`${place}}`);
  writer.emit("}");
  const neighbour = inner === 1 ? 1 : together;
  if (across > 1) {
    for (const { total, k } of rules) writer.emit(`part${k}[lane] = ${total};`);
    writer.emit(`for (var s = ${across / 2}u; s > 0u; s /= 2u) {`);
    writer.emit("workgroupBarrier();");
    writer.emit("if (y < s) {");
    for (const { k, combine } of rules)
      writer.emit(`part${k}[lane] = ${combine(`part${k}[lane]`, `part${k}[lane + s * ${neighbour}u]`)};`);
    writer.emit("}");
    writer.emit("}");
    for (const { total, k } of rules) writer.emit(`if (y == 0u) { ${total} = part${k}[lane]; }`);
  }
  writer.emit(`if (y == 0u && result < ${results}u) {`);
  const end = new Writer("e");
  for (const { node, total, k } of rules) {
    if (parts === 1) storeFloat(end, node, "result", total, context);
    else end.emit(`m[${partials} + (${k * parts}u + group.z) * ${results}u + result] = bitcast<u32>(${total});`);
  }
  writer.emit(`${end}}`);
  const dispatch: Dispatch = {
    body: String(writer),
    declarations: across > 1 ? rules.map(({ k }) => `var<workgroup> part${k}: array<f32, ${SIZE}>;\n`).join("") : "",
    size: SIZE,
    groups: [Math.min(columns, GROUPS), Math.ceil(columns / GROUPS), parts],
  };
  if (parts === 1) return [dispatch];
  const second = flat(results, (writer, i) => {
    for (const { node, total, start, combine, k } of rules) {
      writer.emit(`var ${total} = ${start};`);
      writer.emit(`for (var part = 0u; part < ${parts}u; part++) {`);
      writer.emit(
        `  ${total} = ${combine(total, `bitcast<f32>(m[${partials} + (${k * parts}u + part) * ${results}u + ${i}])`)};`,
      );
      writer.emit("}");
      storeFloat(writer, node, i, total, context);
    }
  });
  return [dispatch, second];
}

/** Workgroups along x before they go on along y. */
const GROUPS = 32768;
