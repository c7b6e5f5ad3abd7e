/** The network as a table: layers, shapes, parameters. */
import { showShape, sizeOf } from "../graph/shape.ts";
import type { NamedLayer, Network } from "../nn/network.ts";

export function summaryTable(network: Network, engine: string): string {
  const count = (parameters: Network["parameters"]) =>
    parameters.reduce((sum, { node }) => sum + sizeOf(node.shape), 0);
  // The layers of a layer stand below it, by the last part of their names.
  const rowsOf = ({ name, description, outputShape, parameters, layers }: NamedLayer, depth = 0): string[][] => [
    [
      "  ".repeat(depth) + name.slice(name.lastIndexOf(".") + 1),
      description,
      showShape(outputShape),
      layers.length > 0 ? "" : count(parameters).toLocaleString("en"),
    ],
    ...layers.flatMap((layer) => rowsOf(layer, depth + 1)),
  ];
  const rows = network.layers.flatMap((layer) => rowsOf(layer));
  const header = ["layer", "", "output", "parameters"];
  const inputs = network.inputs.map(({ name = "input", shape }) => [
    name,
    name === "input" ? "" : "input",
    showShape(shape),
    "",
  ]);
  const outputs = network.outputs.flatMap(({ name, shape }, i) =>
    name === undefined ? [] : [[name, `output of ${network.giverOf(i).name}`, showShape(shape), ""]],
  );
  const all = [header, ...inputs, ...rows, ...outputs];
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
