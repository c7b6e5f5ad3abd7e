/**
 * The graph of a training step as a picture: forward, backward and update nodes with their shapes and, if asked, the
 * range of their values; as Mermaid (for Markdown) and as DOT (for Graphviz).
 */

import type { Phase } from "../graph/node.ts";
import { showShape } from "../graph/shape.ts";
import type { OpDescription } from "./description.ts";
import type { Explanation } from "./explanation.ts";
import { showNumber } from "./formula/number.ts";

/** Options of `dot` and `mermaid`. */
export interface GraphOptions {
  /** Which parts to draw; forward and backward unless said. */
  readonly phases?: readonly Phase[];
  /** Whether to write the range of each node's values. */
  readonly values?: boolean;
}

interface Drawn {
  readonly nodes: readonly (OpDescription & { readonly label: readonly string[] })[];
  readonly edges: readonly { readonly from: number; readonly to: number; readonly shape: string }[];
  /** Nodes by layer; those outside any layer under the empty name. */
  readonly layers: ReadonlyMap<string, readonly number[]>;
}

function draw(explanation: Explanation, { phases = ["forward", "backward"], values = false }: GraphOptions): Drawn {
  const ops = explanation.ops();
  const isDrawn = (op: OpDescription): boolean => phases.includes(op.phase);
  const used = new Set(ops.filter(isDrawn).flatMap((op) => [op.id, ...op.inputs]));
  const nodes = ops
    .filter(({ id, op }) => used.has(id) && op !== "constant")
    .map((op) => {
      const { min, max } = op.statistics;
      const range = min === max ? showNumber(min, 4) : `${showNumber(min, 4)} … ${showNumber(max, 4)}`;
      const name =
        op.name.endsWith(`.${op.op}`) || op.name === op.op
          ? [op.op]
          : [op.name, ...(op.inputs.length > 0 ? [op.op] : [])];
      return { ...op, label: [...name, showShape(op.shape), ...(values ? [range] : [])] };
    });
  const known = new Map(nodes.map((node) => [node.id, node]));
  const edges = nodes.flatMap(({ id, inputs }) =>
    inputs
      .filter((from) => known.has(from))
      .map((from) => ({ from, to: id, shape: showShape(known.get(from)!.shape) })),
  );
  const layers = new Map<string, number[]>();
  for (const { id, layer, phase } of nodes) {
    const group = layer === "" ? "" : phase === "forward" ? layer : `${layer}, ${phase}`;
    layers.set(group, [...(layers.get(group) ?? []), id]);
  }
  return { nodes, edges, layers };
}

/**
 * The graph as Mermaid.
 *
 * @example
 * console.log(mermaid(step, { values: true }));
 */
export function mermaid(explanation: Explanation, options: GraphOptions = {}): string {
  const { nodes, edges, layers } = draw(explanation, options);
  // Mermaid writes labels into a page as HTML, and reads # as the beginning of an entity.
  const escaped = (text: string): string => text.replace(/[#"<>&]/g, (character) => `#${character.charCodeAt(0)};`);
  const text = (label: readonly string[]): string => label.map(escaped).join("<br>");
  const lines = ["flowchart TD"];
  const labels = new Map(nodes.map((node) => [node.id, node]));
  for (const [i, [layer, ids]] of [...layers].entries()) {
    const inside = ids.map((id) => {
      const { label, inputs } = labels.get(id)!;
      const [open, close] = inputs.length > 0 ? ['["', '"]'] : ['(["', '"])'];
      return `n${id}${open}${text(label)}${close}`;
    });
    if (layer === "") lines.push(...inside.map((each) => `  ${each}`));
    else lines.push(`  subgraph g${i}["${escaped(layer)}"]`, ...inside.map((each) => `    ${each}`), "  end");
  }
  lines.push(...edges.map(({ from, to }) => `  n${from} --> n${to}`));
  for (const phase of ["backward", "update"] as const) {
    const ids = nodes.filter((node) => node.phase === phase && node.inputs.length > 0).map(({ id }) => `n${id}`);
    if (ids.length > 0) lines.push(`  class ${ids.join(",")} ${phase}`);
  }
  return [...lines, "  classDef backward stroke:#b3261e", "  classDef update stroke:#7a4a00"].join("\n");
}

/**
 * The graph as DOT, for Graphviz.
 *
 * @example
 * console.log(dot(step, { phases: ["forward"] }));
 */
export function dot(explanation: Explanation, options: GraphOptions = {}): string {
  const { nodes, edges, layers } = draw(explanation, options);
  const quoted = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  const labels = new Map(nodes.map((node) => [node.id, node]));
  const COLORS = { forward: "#0b57a4", backward: "#b3261e", update: "#7a4a00" } as const;
  const lines = ["digraph step {", "  rankdir=TB;", '  node [shape=box, fontname="sans-serif"];'];
  for (const [i, [layer, ids]] of [...layers].entries()) {
    const inside = ids.map((id) => {
      const { label, inputs, phase } = labels.get(id)!;
      const style = inputs.length > 0 ? `color="${COLORS[phase]}"` : "shape=ellipse";
      return `n${id} [label=${quoted(label.join("\n")).replaceAll("\n", "\\n")}, ${style}];`;
    });
    if (layer === "") lines.push(...inside.map((each) => `  ${each}`));
    else
      lines.push(
        `  subgraph cluster_${i} {`,
        `    label=${quoted(layer)};`,
        ...inside.map((each) => `    ${each}`),
        "  }",
      );
  }
  return [...lines, ...edges.map(({ from, to, shape }) => `  n${from} -> n${to} [label=${quoted(shape)}];`), "}"].join(
    "\n",
  );
}
