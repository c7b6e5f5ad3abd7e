/**
 * How layers are connected, as plain data: a list of applications, each the number of a layer and the numbers of the
 * values it takes. The first values are the inputs, then comes the result of each application. The functional form writes
 * such lists: a function of symbolic values, run once.
 */
import { ArgumentError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import type { Layer } from "./layer.ts";

/** [layer, …values] of each application. */
export type Wiring = readonly (readonly number[])[];

/** Layers and how they are connected: of a network, or of a layer made of layers. */
export interface Structure {
  readonly layers: readonly Layer[];
  /** Which layer is applied to what; one after the other if absent. */
  readonly wiring?: Wiring;
  /**
   * What is given out under which name: the number of a value, or the name of a layer's result such as
   * `multiHeadAttention_1.weights`; the last value alone if absent.
   */
  readonly outputs?: Readonly<Record<string, number | string>>;
}

/** One layer after the other. */
export const chained = (count: number): Wiring => Array.from({ length: count }, (_, i) => [i, i]);

/** Sends inputs through: calls `apply` for each application, with the values it takes. Gives all values. */
export function flowThrough(
  wiring: Wiring,
  inputs: readonly Node[],
  apply: (layer: number, inputs: readonly Node[]) => Node,
): Node[] {
  const values = [...inputs];
  for (const [layer, ...from] of wiring) {
    const taken = from.map((i) => values[i]);
    values.push(apply(layer, taken));
  }
  return values;
}

/** Whether unknown data is a wiring of so many layers and inputs in which nothing is used before it is there. */
export const isWiring = (x: unknown, layers: number, inputs = 1): x is Wiring =>
  Array.isArray(x) &&
  x.length > 0 &&
  x.every(
    (application, k) =>
      Array.isArray(application) &&
      application.length > 1 &&
      application.every((n, i) => Number.isInteger(n) && n >= 0 && n < (i === 0 ? layers : k + inputs)),
  );

/** What the functional form writes down. */
interface Trace {
  readonly layers: Layer[];
  readonly wiring: number[][];
  /** How many values are inputs. */
  readonly inputs: number;
}

/** A value in the functional form: what a network will have at one place. */
export class Flow {
  readonly #record: Trace;
  readonly #value: number;

  constructor(record: Trace, value: number) {
    this.#record = record;
    this.#value = value;
  }

  /**
   * What `layer` makes of this value, and of others if it takes several. A layer object that is applied twice has one
   * set of parameters.
   */
  to(layer: Layer, ...others: Flow[]): Flow {
    const { layers, wiring, inputs } = this.#record;
    if (others.some((other) => other.#record !== this.#record))
      throw new ArgumentError("Values of two different networks cannot meet in one layer.");
    if (!layers.includes(layer)) layers.push(layer);
    wiring.push([layers.indexOf(layer), this.#value, ...others.map((other) => other.#value)]);
    return new Flow(this.#record, inputs + wiring.length - 1);
  }

  /** Which value of `record` this is; what no layer made of its input is a mistake. */
  static numberIn(record: Trace, flow: unknown): number {
    if (flow instanceof Flow && flow.#record === record && flow.#value >= record.inputs) return flow.#value;
    throw new ArgumentError(
      "A network needs a layer: the function must return a value that it made from its argument, such as x.to(dense(1)), or an object of such values.",
    );
  }
}

/** What the function of the functional form gives back: the output, or several by name. */
export type Outflow = Flow | Readonly<Record<string, Flow>>;

/** Runs a function of so many symbolic values and writes down the layers and the wiring. */
export function traceFlow(inputs: number, build: (flows: readonly Flow[]) => Outflow): Structure {
  const record: Trace = { layers: [], wiring: [], inputs };
  const built = build(Array.from({ length: inputs }, (_, i) => new Flow(record, i)));
  const isNamed = typeof built === "object" && built !== null && !(built instanceof Flow);
  const outputs = Object.entries(isNamed ? built : { y: built }).map(
    ([name, flow]) => [name, Flow.numberIn(record, flow)] as const,
  );
  if (outputs.length === 0)
    throw new ArgumentError("A network needs an output: the function gave an object without any.");
  // What comes after the last output is not part of the network. Layers stand in the order of their first use.
  const last = Math.max(...outputs.map(([, value]) => value));
  const wiring = record.wiring.slice(0, last - inputs + 1);
  const used = Math.max(...wiring.map(([layer]) => layer)) + 1;
  return {
    layers: record.layers.slice(0, used),
    wiring,
    ...(isNamed && { outputs: Object.fromEntries(outputs) }),
  };
}
