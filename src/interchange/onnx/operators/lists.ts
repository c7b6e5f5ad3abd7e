/** Operators over lists of arrays, whose lengths and places are known when the file is read, and over values that may be absent. */
import { constant } from "../../../graph/leaf.ts";
import { concat, reshape } from "../../../ops/index.ts";
import type { Call, Operators } from "../call.ts";
import { integers, List, Value } from "../value.ts";
import { range, stride } from "./moving.ts";

function listOf(call: Call, i: number): readonly Value[] {
  const value = call.value(i);
  return value instanceof List ? value.items : call.fail(`its operand number ${i + 1} is no list of arrays`);
}

/** A place in a list, from its end where it is negative. */
function placeIn(call: Call, i: number, length: number): number | undefined {
  const [place] = call.known(i) ?? [];
  if (place === undefined) return undefined;
  const positive = place < 0 ? place + length : place;
  return positive >= 0 && positive <= length ? positive : call.fail(`place ${place} of a list of ${length} arrays`);
}

function element(call: Call): Value {
  const items = listOf(call, 0);
  return items[placeIn(call, 1, items.length) ?? 0] ?? call.fail(`an element of a list of ${items.length} arrays`);
}

function inserted(call: Call): Value {
  const items = listOf(call, 0);
  return new List(items.toSpliced(placeIn(call, 2, items.length) ?? items.length, 0, call.value(1)));
}

function erased(call: Call): Value {
  const items = listOf(call, 0);
  return new List(items.toSpliced(placeIn(call, 1, items.length) ?? items.length - 1, 1));
}

function split(call: Call): Value {
  const x = call.value(0);
  const axis = call.axis(call.number("axis", 0), x.shape);
  const length = x.shape[axis];
  const given = call.known(1);
  const each = given?.length === 1 && call.value(1).shape.length === 0 ? given[0] : undefined;
  const sizes =
    given && each === undefined
      ? given
      : range(Math.ceil(length / (each ?? 1))).map((i) => Math.min(each ?? 1, length - i * (each ?? 1)));
  let start = 0;
  const parts = sizes.map((size) => {
    const part = stride(x.node, axis, start, 1, size);
    start += size;
    const isSingle = !given && !call.number("keepdims", 1);
    return new Value(isSingle ? reshape(part, x.shape.toSpliced(axis, 1)) : part, x.type);
  });
  return new List(parts);
}

function joined(call: Call): Value {
  const items = listOf(call, 0);
  const [first] = items;
  if (!first) return call.fail("it joins a list of no arrays");
  const isNew = call.number("new_axis", 0) !== 0;
  const rank = first.shape.length + Number(isNew);
  const given = call.number("axis", 0);
  const axis = given < 0 ? given + rank : given;
  const parts = items.map(({ node }) => (isNew ? reshape(node, node.shape.toSpliced(axis, 0, 1)) : node));
  return new Value(concat(parts, axis), first.type);
}

/** The body takes one element of each list, and the arrays as they are; its results are lists again. */
function mapped(call: Call): Value[] {
  const body = call.graph("body");
  const results = listOf(call, 0).map((_, i) =>
    call.runGraph(
      body,
      call.inputs.map((_, k) => {
        const value = call.value(k);
        return value instanceof List ? value.items[i] : value;
      }),
    ),
  );
  return range(call.outputs).map((k) => new List(results.map((values) => values[k])));
}

export const LISTS: Operators = {
  ConcatFromSequence: joined,
  OptionalGetElement: (call) => call.value(0),
  OptionalHasElement: (call) => new Value(constant(Number(call.optional(0) !== undefined)), "bool"),
  SequenceAt: element,
  SequenceConstruct: (call) => new List(call.inputs.map((_, i) => call.value(i))),
  SequenceEmpty: () => new List([]),
  SequenceErase: erased,
  SequenceInsert: inserted,
  SequenceLength: (call) => integers([listOf(call, 0).length], []),
  SequenceMap: mapped,
  SplitToSequence: split,
};
