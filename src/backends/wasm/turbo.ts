/**
 * Wider vectors, opt-in: V8 can join two neighbouring 128-bit operations into one of 256 bits, behind a flag that can be
 * set while the process runs, before modules are compiled. The results are the same bits, since each lane computes what
 * it computed. Because the flag is experimental, the engine checks itself against the reference before it relies on it.
 */
import { constant } from "../../graph/leaf.ts";
import { sizeOf } from "../../graph/shape.ts";
import { add, matmul, relu } from "../../ops/index.ts";
import { makePlan } from "../../plan/plan.ts";
import { RandomStream } from "../../random.ts";
import type { ImmediateSession } from "../backend.ts";
import { reference } from "../reference/reference.ts";
import { isEarlyV8 } from "./features.ts";

const FLAG = "--experimental-wasm-revectorize";

/** A product of every kind of edge, with an epilogue, in a fresh session: true if it is what the reference gives. */
function agrees(open: () => ImmediateSession): boolean {
  const stream = new RandomStream(1, "turbo");
  const [a, b, bias] = [[29, 40], [40, 43], [43]].map((shape) =>
    constant(
      Float32Array.from({ length: sizeOf(shape) }, () => stream.uniform() - 0.5),
      shape,
    ),
  );
  const y = relu(add(matmul(a, b), bias));
  const dw = matmul(a, y, { transposeA: true });
  const plan = makePlan({ inputs: [], outputs: [y, dw, matmul(dw, y, { transposeB: true })] });
  const expected = reference("float64").open().compile(plan).run([]).outputs;
  const session = open();
  const actual = session.compile(plan).run([]).outputs;
  session.close();
  return expected.every((array, i) => {
    const values = Array.from(array);
    const scale = Math.max(...values.map(Math.abs));
    return values.every((x, j) => Math.abs(actual[i][j] - x) <= 1e-5 * scale);
  });
}

function tryTurbo(open: () => ImmediateSession): string {
  const get = globalThis.process?.getBuiltinModule;
  const [v8, child] = [get?.("node:v8"), get?.("node:child_process")];
  const version = globalThis.process?.versions?.v8;
  if (!v8 || !child || !version) return "only Node can set V8's flag";
  if (
    isEarlyV8() ||
    !child.execFileSync(globalThis.process.execPath, ["--v8-options"], { encoding: "utf8" }).includes(FLAG)
  )
    return `this V8 (${version}) has no 256-bit vectors worth using; Node 24 has`;
  v8.setFlagsFromString(FLAG);
  if (agrees(open)) return "";
  v8.setFlagsFromString(FLAG.replace("--", "--no-"));
  return "this V8's 256-bit code failed the check against the reference";
}

let hindrance: string | undefined;

/**
 * Switches wider vectors on for this process, once.
 * @param open makes a session of the engine that would use them
 * @returns why they cannot be used, or "" if they can
 */
export function enableTurbo(open: () => ImmediateSession): string {
  hindrance ??= tryTurbo(open);
  return hindrance;
}
