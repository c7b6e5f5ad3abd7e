/** `chainrule export MODEL FILE.onnx`: a trained model for other programs. */
import type { Command } from "commander";
import { writeFileAtomically } from "../../data/node.ts";
import { openModel } from "../model/open-model.ts";
import { positiveWhole } from "../options/values.ts";
import { UsageError } from "../terminal/exit.ts";
import { fileSize, painter, titled } from "../terminal/text.ts";

interface ExportOptions {
  readonly opset?: number;
}

const HELP = `
The file computes the same in ONNX Runtime, in Python, C#, C++ and browsers,
and opens in Netron. Images lie with their channels last, [B, H, W, C].`;

export function register(program: Command): void {
  program
    .command("export")
    .summary("write a trained model for other programs: ONNX")
    .description("Writes a trained model as an ONNX file.")
    .argument("<model>", "a file that train wrote")
    .argument("<file>", "the file to write; it ends in .onnx")
    .option("--opset <n>", "the version of ONNX's operators, 13 to 26; 18 unless said", positiveWhole)
    .addHelpText("after", HELP)
    .action(exportModel);
}

async function exportModel(path: string, file: string, options: ExportOptions): Promise<void> {
  if (!/\.onnx$/i.test(file))
    throw new UsageError(`Models are written as ONNX; give a file that ends in .onnx, not "${file}".`);
  const { model } = await openModel(path, {});
  try {
    const { toOnnx } = await import("../../interchange/index.ts");
    const bytes = toOnnx(model, options);
    await writeFileAtomically(file, bytes);
    const paint = painter(process.stdout);
    const shape = (sizes: readonly number[]): string => `[batch, ${sizes.join(", ")}]`;
    const lines = [
      `${paint("bold", file)}, ${fileSize(bytes.length)}`,
      titled("input", shape(model.inputShape), paint),
      titled("output", shape(model.network.outputShape), paint),
    ];
    process.stdout.write(`${lines.join("\n")}\n`);
  } finally {
    model.close();
  }
}
