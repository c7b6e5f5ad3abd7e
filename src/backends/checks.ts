/** What every backend checks, in the same words: the lengths of arrays, and variables without a value. */
import { ArgumentError, ChainruleError } from "../errors.ts";
import { type Node, nameOf } from "../graph/node.ts";
import type { AnyArray } from "../graph/op.ts";
import { showShape, sizeOf } from "../graph/shape.ts";

/** Throws unless there is a number for each element of a node, in each of so many runs. */
export function checkLength(node: Node, { length }: ArrayLike<number>, count = 1): void {
  const wanted = sizeOf(node.shape) * count;
  if (length !== wanted)
    throw new ArgumentError(
      `"${nameOf(node)}" has the shape ${showShape(node.shape)} and takes ${wanted} numbers${count > 1 ? ` for ${count} runs` : ""}; ${length} came.`,
      { code: "wrong-length", facts: { array: nameOf(node), wanted, came: length } },
    );
}

export const withoutValue = (variable: Node, closed: boolean): ArgumentError =>
  new ArgumentError(
    closed
      ? `The variable "${nameOf(variable)}" is gone: its session, or the model that it belongs to, was closed.`
      : `The variable "${nameOf(variable)}" has no value yet: write one first.`,
    { code: closed ? "closed" : "no-value", facts: { variable: nameOf(variable) } },
  );

/** Values that were read, where there is no time to wait for them. */
export function atOnce<T extends AnyArray>(values: T | Promise<T>): T {
  if (!(values instanceof Promise)) return values;
  // The promise may fail too, where nobody listens.
  values.catch(() => {});
  throw new ArgumentError(
    "The values lie in a GPU's memory and cannot be had without waiting: await model.weightAsync(name) or model.toBytesAsync(); fromBytes(await model.toBytesAsync()) is the model on the processor.",
    { code: "not-at-once" },
  );
}

/** The error for a run, or a write, after `close`. */
export const closedSession = (): ArgumentError =>
  new ArgumentError("The session, or the model that it belongs to, was closed: load the model or make it anew.", {
    code: "closed",
  });

/** The error for a session of which a run broke off on account of `cause`. */
export const brokenSession = (cause: unknown): ChainruleError =>
  new ChainruleError(
    "This session stopped in the middle of a run, so its variables may be half updated, and it runs nothing more. Make the model anew or load it from its file.",
    { code: "broken-session", cause },
  );
