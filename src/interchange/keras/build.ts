/** A model of ours from a Keras model's description and weights: checks all sizes before there is memory for them. */
import type { Backend } from "../../backends/backend.ts";
import { ArgumentError, ChainruleError, DataError } from "../../errors.ts";
import { type Shape, sameShape, showShape, sizeOf } from "../../graph/shape.ts";
import { Network } from "../../nn/network.ts";
import { Model } from "../../train/model.ts";
import { readKerasModel } from "./config.ts";
import { fitsShape, type KerasFile, translate } from "./translate.ts";

/** Options of `fromTensorflowJs` and `fromKeras`. */
export interface FromKerasOptions {
  readonly backend?: Backend;
  /** The shape of one sample, where the file leaves sizes beside the batch open. */
  readonly inputShape?: Shape;
}

/** The names of these options. */
export const OPTIONS = ["backend", "inputShape"] as const;

/** Weights that the file has not, such as a batch normalisation's γ that is 1, may be so many. */
const MOST_FILLED = 2 ** 20;

/** The model that `json` describes, with the weights of `file`. */
export function buildModel(
  json: unknown,
  file: KerasFile,
  { backend, inputShape }: FromKerasOptions,
  who: string,
): Model {
  const described = readKerasModel(json);
  const input = sampleShape(described.inputShape, inputShape, who);
  const { layers, wiring, values } = translate(described, input, file);
  const leftOver = file.weights.leftOver();
  if (leftOver.length > 0)
    throw new DataError(
      `The file has weights that no layer takes: ${leftOver.slice(0, 8).join(", ")}${leftOver.length > 8 ? ", …" : ""}. They are of another model, or of layers that hold more than is known here.`,
      {},
      { facts: { leftOver } },
    );
  const isChain = wiring.every(([layer, ...from], i) => layer === i && from.length === 1 && from[0] === i);
  const structure = { layers, ...(!isChain && { wiring }) };
  // A network of another size than the file's arrays is refused before there is memory for it.
  const { parameters } = new Network(input, 0, layers, structure);
  let filled = 0;
  for (const { name, node } of parameters) {
    const value = values.get(name);
    if (typeof value === "number") filled += sizeOf(node.shape);
    else if (!value || !sameShape(value.shape, node.shape))
      throw new DataError(
        `The weight ${name} should have shape ${showShape(node.shape)}; ${value ? showShape(value.shape) : "none"} came. The file is damaged, or its weights are of another model.`,
        {},
        { code: "wrong-shape", facts: { weight: name } },
      );
  }
  if (filled > MOST_FILLED) throw new DataError(`The model has ${filled} weights that are not in the file.`);
  try {
    return new Model({ input, backend }, structure, ({ name, node }) => {
      const value = values.get(name)!;
      return typeof value === "number" ? new Float32Array(sizeOf(node.shape)).fill(value) : value.data;
    });
  } catch (error) {
    if (error instanceof ChainruleError) throw error;
    throw new DataError(`The model cannot be made: ${error}`, {}, { cause: error });
  }
}

function sampleShape(written: readonly (number | null)[] | undefined, given: Shape | undefined, who: string): Shape {
  if (given) {
    if (written && !fitsShape(written, given))
      throw new ArgumentError(
        `${who}: the file takes samples of shape [${written.map((n) => n ?? "?").join(", ")}]; inputShape ${showShape(given)} came.`,
        { code: "wrong-shape" },
      );
    return given;
  }
  if (written?.every((n) => n !== null)) return written as number[];
  throw new ArgumentError(
    `${who}: the file leaves the shape of its samples open: [${written?.map((n) => n ?? "?").join(", ") ?? "?"}]. Say the shape of one: { inputShape: [20, 8] }.`,
    { code: "wrong-shape" },
  );
}
