/**
 * How layers are connected, as plain data: a list of applications, each the number of a layer and the numbers of the
 * values it takes. Value 0 is the input, value k the result of the k-th application; the last one is the output. The
 * functional form writes such lists: a function of symbolic values, run once.
 */
import { ArgumentError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import type { Layer } from "./layer.ts";

/** [layer, …values] of each application. */
export type Wiring = readonly (readonly number[])[];

/** One layer after the other. */
export const chained = (count: number): Wiring => Array.from({ length: count }, (_, i) => [i, i]);

/** Sends x through: calls `apply` for each application, with the values it takes. */
export function flowThrough(wiring: Wiring, x: Node, apply: (layer: number, inputs: readonly Node[]) => Node): Node {
  const values = [x];
  for (const [layer, ...from] of wiring) {
    const inputs = from.map((i) => values[i]);
    values.push(apply(layer, inputs));
  }
  return values[values.length - 1];
}

/** Whether unknown data is a wiring of so many layers in which nothing is used before it is there. */
export const isWiring = (x: unknown, layers: number): x is Wiring =>
  Array.isArray(x) &&
  x.length > 0 &&
  x.every(
    (application, k) =>
      Array.isArray(application) &&
      application.length > 1 &&
      application.every((n, i) => Number.isInteger(n) && n >= 0 && n < (i === 0 ? layers : k + 1)),
  );

/** What the functional form writes down. */
interface Record {
  readonly layers: Layer[];
  readonly wiring: number[][];
}

/** A value in the functional form: what a network will have at one place. */
export class Flow {
  readonly #record: Record;
  readonly #value: number;

  constructor(record: Record, value: number) {
    this.#record = record;
    this.#value = value;
  }

  /**
   * What `layer` makes of this value, and of others if it takes several. A layer object that is applied twice has one
   * set of parameters.
   */
  to(layer: Layer, ...others: Flow[]): Flow {
    const { layers, wiring } = this.#record;
    if (others.some((other) => other.#record !== this.#record))
      throw new ArgumentError("Values of two different networks cannot meet in one layer.");
    if (!layers.includes(layer)) layers.push(layer);
    wiring.push([layers.indexOf(layer), this.#value, ...others.map((other) => other.#value)]);
    return new Flow(this.#record, wiring.length);
  }

  /** Which value of `record` this is; what no layer made of its input is a mistake. */
  static numberIn(record: Record, flow: unknown): number {
    if (flow instanceof Flow && flow.#record === record && flow.#value > 0) return flow.#value;
    throw new ArgumentError(
      "A network needs a layer: the function must return a value that it made from its argument, such as x.to(dense(1)).",
    );
  }
}

/** Runs a function of symbolic values and writes down the layers and the wiring. */
export function traceFlow(build: (x: Flow) => Flow): { layers: readonly Layer[]; wiring: Wiring } {
  const record: Record = { layers: [], wiring: [] };
  const output = Flow.numberIn(record, build(new Flow(record, 0)));
  // What comes after the output is not part of the network. Layers stand in the order of their first use.
  const wiring = record.wiring.slice(0, output);
  const used = Math.max(...wiring.map(([layer]) => layer)) + 1;
  return { layers: record.layers.slice(0, used), wiring };
}
