/**
 * Wider vectors, opt-in: V8 can join two neighbouring 128-bit operations into one of 256 bits, behind a flag that can be
 * set while the process runs, before modules are compiled. The results are the same bits, since each lane computes what
 * it computed. Because the flag is experimental, the engine checks itself against the reference before it relies on it.
 */
import { constant } from "../../graph/leaf.ts";
import { add, matmul, relu } from "../../ops/index.ts";
import { makePlan } from "../../plan/plan.ts";
import { RandomStream } from "../../random.ts";
import type { ImmediateSession } from "../backend.ts";
import { reference } from "../reference/reference.ts";
import { isEarlyV8 } from "./features.ts";

const FLAG = "--experimental-wasm-revectorize";

let state: "unknown" | "on" | string = "unknown";

/** Sets V8's flag, once for the process. Gives the reason if that cannot be. */
function setFlag(): string | undefined {
  if (state === "unknown") {
    const get = globalThis.process?.getBuiltinModule;
    const [v8, child] = [get?.("node:v8"), get?.("node:child_process")];
    if (!v8 || !child || !globalThis.process.versions?.v8) {
      state = "only Node can set V8's flag";
    } else if (
      isEarlyV8() ||
      !child.execFileSync(globalThis.process.execPath, ["--v8-options"], { encoding: "utf8" }).includes(FLAG)
    ) {
      state = `this V8 (${globalThis.process.versions.v8}) has no 256-bit vectors worth using; Node 24 has`;
    } else {
      v8.setFlagsFromString(FLAG);
      state = "on";
    }
  }
  return state === "on" ? undefined : state;
}

/** A product of every kind of edge, with an epilogue, in a fresh session: true if it is what the reference gives. */
function agrees(open: () => ImmediateSession): boolean {
  const stream = new RandomStream(1, "turbo");
  const random = (...shape: number[]) =>
    constant(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => stream.uniform() - 0.5),
      shape,
    );
  const [a, b, bias] = [random(29, 40), random(40, 43), random(43)];
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

let checked: boolean | undefined;

/**
 * Switches wider vectors on for this process.
 * @param open makes a session of the engine that would use them
 * @returns why they cannot be used, or undefined if they can
 */
export function enableTurbo(open: () => ImmediateSession): string | undefined {
  const hindrance = setFlag();
  if (hindrance) return hindrance;
  checked ??= agrees(open);
  if (checked) return undefined;
  globalThis.process.getBuiltinModule("node:v8").setFlagsFromString(FLAG.replace("--", "--no-"));
  return "this V8's 256-bit code failed the check against the reference";
}
