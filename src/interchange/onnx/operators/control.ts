/** Operators that hold graphs: branches whose condition is known, and loops whose number of turns is. */
import { concat, reshape } from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import { integers, Value } from "../value.ts";
import { range, stride } from "./moving.ts";

function branch(call: Call): readonly Value[] {
  const [condition] = call.known(0)!;
  return call.runGraph(call.graph(condition ? "then_branch" : "else_branch"), []);
}

const stacked = (values: readonly Value[], axis = 0): Value => {
  const rows = values.map(({ node }) => reshape(node, node.shape.toSpliced(axis, 0, 1)));
  return new Value(concat(rows, axis), values[0].type);
};

/** Each turn adds the nodes of the body to the graph. */
const MOST_TURNS = 10_000;

/** The body takes the number of the turn, whether to go on, and what is carried; it gives the latter two, and rows. */
function loop(call: Call): readonly Value[] {
  const body = call.graph("body");
  const turns = call.known(0)?.[0] ?? Number.POSITIVE_INFINITY;
  let goesOn = (call.known(1)?.[0] ?? 1) !== 0;
  let carried = call.inputs.slice(2).map((_, i) => call.value(i + 2));
  if (Number.isFinite(turns) && turns > MOST_TURNS)
    call.fail(`a loop of ${turns} turns, which is written out turn by turn; ${MOST_TURNS} are the most`);
  const rows: Value[][] = [];
  for (let turn = 0; turn < turns && goesOn; turn++) {
    const condition = new Value(integers([Number(goesOn)], []).node, "bool");
    const [next, ...results] = call.runGraph(body, [integers([turn], []), condition, ...carried]);
    if (!next.known) call.fail("whether it goes on is known only when it runs");
    if (turn >= MOST_TURNS) call.fail(`a loop that goes on after ${MOST_TURNS} turns, which are the most`);
    goesOn = next.known[0] !== 0;
    carried = results.slice(0, carried.length);
    rows.push(results.slice(carried.length));
  }
  if (rows.length === 0 && call.outputs > carried.length) call.fail("a loop of no turns that should give rows");
  return [...carried, ...(rows[0] ?? []).map((_, i) => stacked(rows.map((row) => row[i])))];
}

/** The body takes what is carried and a row of each input, and gives what is carried and rows. */
function scan(call: Call): readonly Value[] {
  if (call.version >= 9)
    return scanOver(
      call,
      call.inputs.map((_, i) => call.value(i)),
      "scan_input_directions",
    );
  // Version 8 had the lengths of sequences first, and did it for each sample of a batch.
  if (call.optional(0)) call.fail("a scan over sequences of several lengths");
  const inputs = call.inputs.slice(1).map((_, i) => call.value(i + 1));
  const samples = range(inputs[0].shape[0]).map((b) => {
    const own = inputs.map((x) => new Value(reshape(stride(x.node, 0, b, 1, 1), x.shape.slice(1)), x.type));
    return scanOver(call, own, "directions");
  });
  return samples[0].map((_, i) => stacked(samples.map((results) => results[i])));
}

function scanOver(call: Call, all: readonly Value[], directions: string): readonly Value[] {
  const body = call.graph("body");
  const count = call.number("num_scan_inputs", 1);
  let carried = all.slice(0, all.length - count);
  const inputs = all.slice(all.length - count);
  const outputs = call.outputs - carried.length;
  const [inputAxes, outputAxes] = [call.numbers("scan_input_axes"), call.numbers("scan_output_axes")];
  const [inputBack, outputBack] = [call.numbers(directions), call.numbers("scan_output_directions")];
  const axes = inputs.map(({ shape }, i) => call.axis(inputAxes?.[i] ?? 0, shape));
  const steps = inputs[0].shape[axes[0]];
  const rows: Value[][] = [];
  for (const step of range(steps)) {
    const parts = inputs.map((input, i) => {
      const at = inputBack?.[i] ? steps - 1 - step : step;
      const row = stride(input.node, axes[i], at, 1, 1);
      return new Value(reshape(row, row.shape.toSpliced(axes[i], 1)), input.type);
    });
    const results = call.runGraph(body, [...carried, ...parts]);
    carried = results.slice(0, carried.length);
    rows.push(results.slice(carried.length));
  }
  const whole = range(outputs).map((i) => {
    const column = rows.map((row) => row[i]);
    const rank = column[0].shape.length + 1;
    const axis = outputAxes?.[i] ?? 0;
    return stacked(outputBack?.[i] ? column.toReversed() : column, axis < 0 ? axis + rank : axis);
  });
  return [...carried, ...whole];
}

export const CONTROL: Operators = { If: branch, Loop: loop, Scan: scan };
