/** `chainrule gradcheck MODEL [DATA]`: proves a model's gradients against finite differences, in float64. */
import type { Command } from "commander";
import { type GradientReport, gradcheck } from "../../index.ts";
import { batchOf, randomBatch } from "../data/first-rows.ts";
import { readDataFor } from "../data/sources.ts";
import { openDataModel } from "../model/open-model.ts";
import { positiveWhole } from "../options/values.ts";
import { trainedLoss } from "../report/scores.ts";
import { EXIT } from "../terminal/exit.ts";
import { count, measure, name, plural } from "../terminal/text.ts";

interface GradcheckOptions {
  readonly rows: number;
  readonly elements: number;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("gradcheck")
    .summary("compare a model's gradients with finite differences")
    .description(
      "Compares the gradient of every parameter with central finite differences in float64, on the first rows of a data set, or on random numbers if none is given.",
    )
    .argument("<model>", "a file that train wrote")
    .argument("[data]", "what train takes")
    .option("--rows <n>", "rows of the batch", positiveWhole, 8)
    .option("--elements <n>", "elements checked of each parameter", positiveWhole, 20)
    .option("--json", "write the result as one JSON object")
    .action(gradcheckModel);
}

async function gradcheckModel(path: string, source: string | undefined, options: GradcheckOptions): Promise<void> {
  const { model, details } = await openDataModel(path, { threads: 1 });
  try {
    const data = source === undefined ? undefined : await readDataFor(source, details, model.inputShape);
    const loss = trainedLoss(model, details.task);
    const batch = data ? batchOf(data, model, loss, options.rows) : randomBatch(model, options.rows);
    const report = await gradcheck(model, batch, { loss, elements: options.elements });
    const rows = plural(Math.min(options.rows, data?.count ?? options.rows), "row");
    const lines = options.json
      ? [JSON.stringify({ event: "done", ...report, model: path })]
      : reportLines(report, `${rows} of ${source === undefined ? "random numbers" : name(source, 24)}`);
    process.stdout.write(`${lines.join("\n")}\n`);
    if (!report.passed) process.exitCode = EXIT.failed;
  } finally {
    model.close();
  }
}

/** A line per parameter with its worst element, and what it comes to; in 80 columns. */
function reportLines({ parameters, passed, tolerance, worst, loss }: GradientReport, rows: string): string[] {
  const head = ["", "checked", "worst at", "∂L/∂w", "difference", "error"];
  const body = parameters.map(({ shape, checked, unmeasured, worst: { index, gradient, difference, error } }) => {
    const all = shape.reduce((a, b) => a * b, 1);
    return [
      unmeasured < checked && !(error <= tolerance) ? "WRONG" : unmeasured > 0 ? "?" : "ok",
      checked < all ? `${count(checked)} of ${count(all)}` : `all ${count(all)}`,
      `[${index.join(",")}]`,
      gradient.toExponential(4),
      difference.toExponential(4),
      error.toExponential(1),
    ];
  });
  const table = [head, ...body];
  const widths = head.map((_, i) => Math.max(...table.map((row) => row[i].length)));
  const names = ["parameter", ...parameters.map(({ parameter }) => parameter)];
  const room = 80 - widths.reduce((sum, width) => sum + width + 1, 0);
  const wide = Math.min(Math.max(12, room), Math.max(...names.map((title) => title.length)));
  const line = ([verdict, ...rest]: readonly string[], i: number): string =>
    [
      verdict.padEnd(widths[0]),
      name(names[i], wide).padEnd(wide),
      ...rest.map((cell, c) => cell.padStart(widths[c + 1])),
    ].join(" ");
  const kinks = parameters.reduce((sum, parameter) => sum + parameter.kinks, 0);
  const unmeasured = parameters.reduce((sum, parameter) => sum + parameter.unmeasured, 0);
  const isWrong = body.some(([verdict]) => verdict === "WRONG");
  const most = (worst?.error ?? 0).toExponential(1);
  return [
    "∂L/∂w by the chain rule beside (L(w + ε) − L(w − ε)) / 2ε,",
    `in double precision, on ${rows}`,
    "",
    ...table.map(line),
    "",
    ...(kinks > 0
      ? [`${plural(kinks, "element")} at a kink, as of a ReLU: there any slope between both sides is right.`]
      : []),
    ...(unmeasured > 0
      ? [
          `? ${plural(unmeasured, "element")} could not be measured: the loss, ${measure(loss)}, rounds such`,
          "differences away, or bends too sharply within the step ε.",
        ]
      : []),
    ...(passed
      ? [`All gradients agree: relative error at most ${most}, allowed ${tolerance.toExponential()}.`]
      : isWrong
        ? [
            `NOT ALL GRADIENTS AGREE: relative error up to ${most}, allowed ${tolerance.toExponential()}.`,
            "If the model has an op or a layer of your own, its backward is the first suspect.",
          ]
        : ["NOT PROVEN. Give data like those of the training: gradcheck MODEL DATA."]),
  ];
}
