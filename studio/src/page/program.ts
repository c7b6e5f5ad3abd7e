/** The run as a TypeScript program: what the page does, written down. */
import { layerCode } from "../lab/layer-kinds.ts";
import type { Setup } from "../lab/looks.ts";
import { scheduleCode } from "../lab/schedule-kinds.ts";
import type { Spec } from "../lab/spec.ts";

/** How the rows are had in a program. */
function dataCode(
  { data }: Spec,
  { data: look }: Setup,
): { imports: readonly string[]; lines: readonly string[]; isNode?: boolean } {
  switch (data.kind) {
    case "toy": {
      const { name, count, noise, seed } = data;
      const options =
        name === "iris"
          ? ""
          : `{ ${name === "spirals" ? "classes: 2, " : ""}count: ${count}, noise: ${noise}, seed: ${seed} }`;
      return { imports: [name], lines: [`const data = ${name}(${options});`] };
    }
    case "digits":
      return {
        imports: [],
        lines: ["const { train: data } = await mnist(); // the studio takes a part of it"],
        isNode: true,
      };
    case "rows":
      return { imports: [], lines: [`const data = { x: ${JSON.stringify(data.x)}, y: ${JSON.stringify(data.y)} };`] };
    case "drawn":
      return {
        imports: ["toDataset"],
        lines: [
          `const points = ${JSON.stringify(data.points)};`,
          "const data = toDataset({ x: points.map(([x, y]) => [x, y]), y: points.map(([, , label]) => label) });",
        ],
      };
    case "file":
      return {
        imports: [],
        lines: [
          `const data = await readCsv(${JSON.stringify(data.name)}, { target: ${JSON.stringify(look.target ?? "y")}, missing: "mean"${data.ignore?.length ? `, ignore: ${JSON.stringify(data.ignore)}` : ""} });`,
        ],
        isNode: true,
      };
  }
}

export function programOf(spec: Spec, setup: Setup): string {
  const { imports, lines, isNode } = dataCode(spec, setup);
  const { optimizer, heldOut, batchSize, seed } = spec;
  const { schedule, learningRate } = optimizer;
  const layers = setup.layers.map(({ card, kind, outputShape, inputShape }) => {
    if (card !== undefined) return layerCode(spec.layers[card]);
    if (kind === "dense") return `dense(${outputShape[0]})`;
    if (kind === "flatten") return "flatten()";
    if (kind === "rescale") return "rescale(1 / 255)";
    return inputShape.join() === setup.data.inputShape.join() ? "normalize(statistics(train))" : "…";
  });
  // What brings numbers back into the target's unit is in the model that recommend gives.
  const isRegression = setup.data.task === "regression" && spec.data.kind !== "rows";
  const body = isRegression ? [...layers.slice(0, -1), "...recommend(train).leave"] : layers;
  const names = new Set(body.map((line) => /^\w+/.exec(line)?.[0]).filter((name) => name !== undefined));
  names.add("sequential").add(optimizer.name);
  if (isRegression) names.add("recommend");
  if (schedule) names.add(schedule.kind);
  const decay = optimizer.weightDecay > 0 ? `, weightDecay: ${optimizer.weightDecay}` : "";
  const dataNames = new Set([
    ...imports,
    ...(heldOut > 0 ? ["split"] : []),
    ...(body.some((line) => line.includes("statistics(")) ? ["statistics"] : []),
  ]);
  const nodeNames = isNode ? [spec.data.kind === "digits" ? "mnist" : "readCsv"] : [];
  const sorted = (all: Iterable<string>): string => [...all].sort().join(", ");
  return [
    `import { ${sorted(names)} } from "chainrule";`,
    ...(dataNames.size > 0 ? [`import { ${sorted(dataNames)} } from "chainrule/data";`] : []),
    ...(nodeNames.length > 0 ? [`import { ${sorted(nodeNames)} } from "chainrule/data/node";`] : []),
    "",
    ...lines,
    ...(heldOut > 0
      ? [`const [train, heldOut] = split(data, [${+(1 - heldOut).toFixed(4)}, ${heldOut}], { seed: ${seed} });`]
      : ["const train = data;"]),
    `const model = sequential({ input: ${JSON.stringify(setup.data.inputShape)}, seed: ${seed} }, [`,
    ...body.map((line) => `  ${line},`),
    "]);",
    ...Object.entries(spec.weights ?? {}).map(
      ([name, values]) => `model.setWeight("${name}", ${JSON.stringify(values)});`,
    ),
    "for await (const { epoch, loss } of model.fit(train, {",
    `  loss: "${setup.loss}",`,
    `  optimizer: ${optimizer.name}({ learningRate: ${schedule ? scheduleCode(schedule, learningRate) : learningRate}${decay} }),`,
    `  batchSize: ${Math.min(batchSize, setup.data.train)},`,
    "  epochs: 50,",
    ...(heldOut > 0 ? ["  validation: heldOut,"] : []),
    "}))",
    "  console.log(epoch, loss);",
    "",
  ].join("\n");
}
