/** The network as a table: layers, shapes, parameters. */
import { showShape, sizeOf } from "../graph/shape.ts";
import type { Network } from "../nn/network.ts";

export function summaryTable(network: Network, engine: string): string {
  const count = (parameters: Network["parameters"]) =>
    parameters.reduce((sum, { node }) => sum + sizeOf(node.shape), 0);
  const rows = network.layers.map(({ name, description, outputShape, parameters }) => [
    name,
    description,
    showShape(outputShape),
    count(parameters).toLocaleString("en"),
  ]);
  const header = ["layer", "", "output", "parameters"];
  const all = [header, ["input", "", showShape(network.inputShape), ""], ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const line = (row: string[]) =>
    row
      .map((cell, column) => (column === 3 ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join("  ")
      .trimEnd();
  const trainable = count(network.parameters.filter((parameter) => parameter.trainable));
  const fixed = network.parameterCount - trainable;
  return [
    ...all.map(line),
    `${trainable.toLocaleString("en")} trainable parameters${fixed > 0 ? ` and ${fixed.toLocaleString("en")} fixed values` : ""}; ${engine}`,
  ].join("\n");
}
