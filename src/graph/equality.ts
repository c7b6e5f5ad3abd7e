/**
 * Which nodes compute the same: those of one op, with equal attributes, over inputs that are equal. The planner makes one
 * node of them; the explainer finds by it what another pass of the planner has rewritten.
 */
import { ArgumentError } from "../errors.ts";
import { constantArray, isConstant } from "./leaf.ts";
import type { Node } from "./node.ts";

/**
 * Gives keys to nodes: equal keys for equal nodes, and for no others. Inputs and variables are equal only to themselves.
 * @param numberOf the same number for equal nodes, for the inputs of the node at hand
 */
export function nodeKeys(numberOf: (input: Node) => number): (node: Node) => string {
  const identities = new Map<object, number>();
  const identity = (object: object): string => {
    if (!identities.has(object)) identities.set(object, identities.size);
    return `#${identities.get(object)}`;
  };

  return (node) => {
    const { op, inputs, attributes, shape, dtype } = node;
    if (op.meaning.kind === "leaf" && !isConstant(node)) return identity(node);
    const array = constantArray(node);
    const own = array ? `${identity(array)}:${shape}:${dtype}` : attributesKey(attributes, op.name);
    return `${op.name}(${inputs.map(numberOf)})${own}`;
  };
}

/** What stands in an op's attributes and is no plain data, such as a loop's body, says itself what tells it apart. */
export interface Keyed {
  readonly attributeKey: string;
}

/** A text that tells values apart as `Object.is` does, unlike JSON, where ∞ and NaN are null and −0 is 0. */
export function attributesKey(value: unknown, op = ""): string {
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "string") return JSON.stringify(value);
  if (value === null || ["number", "boolean", "undefined"].includes(typeof value)) return String(value);
  if (typeof (value as Keyed).attributeKey === "string") return (value as Keyed).attributeKey;
  if (Array.isArray(value)) return `[${value.map((item) => attributesKey(item, op))}]`;
  if (typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value)))
    return `{${Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}:${attributesKey(item, op)}`)}}`;
  throw new ArgumentError(
    `The op "${op}" was applied with an attribute that is no plain data: ${typeof value === "object" ? `a ${value.constructor?.name}` : `a ${typeof value}`} came. Attributes are numbers, texts, booleans, and lists and objects of them.`,
  );
}
