/**
 * Compiles a plan to one WebAssembly module: a function per phase of each step, and `run`, which goes through them as
 * many times as asked. Every thread runs the same code; a phase's units are dealt out among them.
 */
import { PlatformError } from "../../errors.ts";
import type { Node } from "../../graph/node.ts";
import { sizeOf } from "../../graph/shape.ts";
import { offsetOf, storageOf } from "../../plan/operands.ts";
import type { Step } from "../../plan/plan.ts";
import { type Plan, stepFlops } from "../../plan/plan.ts";
import { bytesOf, SINGLE_PRECISION } from "../../plan/target.ts";
import { type Address, f32, f32x4, type I32, i32, ModuleBuilder, parameter } from "./assembler.ts";
import { emitBarrier, emitLeave, emitRowCheck } from "./barrier.ts";
import type { KernelContext, Phase } from "./kernel.ts";
import { KERNELS } from "./kernels/index.ts";
import { loop } from "./kernels/loop.ts";
import type { Madd } from "./math.ts";
import { isSamePlace, type Place, type Signature, signatureOf } from "./signature.ts";

export interface CompileOptions {
  /** Whether to multiply and add in one instruction. */
  readonly fusedMadd: boolean;
  readonly turbo: boolean;
  /** The most threads that can take part in a run. */
  readonly threads: number;
  /** The most pages of the shared memory; undefined if the memory is not shared. */
  readonly sharedMaximum: number | undefined;
  /** Where the threads meet. */
  readonly barrierAddress: number;
  /** Where a leaf, or a stored result, lies. Holds from when `scratch` was asked for. */
  address(node: Node): number;
  /** Memory beside the plan's own, for kernels to work in; asked for once. */
  scratch(bytes: number): number;
}

/** First unit, last but one, thread. */
const OWN_PARAMETERS = ["i32", "i32", "i32"] as const;

/** Steps of which so many are alike have one function for all; one that knows its addresses is a little faster. */
const REPEATED = 3;

const multiplyThenAdd: Madd = (a, b, c) => f32x4.add(f32x4.mul(a, b), c);

function phasesOf(step: Step, context: KernelContext): Phase[] {
  if (!step.root) return loop(step, context);
  const kernel = KERNELS[step.root.op.name];
  if (!kernel) {
    throw new PlatformError(
      `The wasm backend has no kernel for the op "${step.root.op.name}". Add one in backends/wasm/kernels, or use backend: reference().`,
    );
  }
  return kernel(step, context);
}

/** A part of a step in the module: which function does it, on which arrays. */
export interface CompiledPhase {
  /** The name under which the function is exported. It takes the first unit, the last but one, the thread, the bases. */
  readonly name: string;
  readonly units: number;
  /** Where the arrays lie that the function is told of; none if it was written for this step alone. */
  readonly bases: readonly number[];
}

/**
 * The module's code, and the phases of each step. It exports `run(thread, threads, count, …addresses of the inputs'
 * values, …addresses for the outputs')`, which gives the number of finished runs. All threads of a run call it with the
 * same arguments but the first; one that ends in an error calls `leave`, so that no other waits for it. The phases'
 * functions are exported too, for profiles.
 */
export function compilePlan(
  plan: Plan,
  options: CompileOptions,
): { code: Uint8Array<ArrayBuffer>; phases: readonly (readonly CompiledPhase[])[] } {
  let scratchBytes = 0;
  let scratchAddress = 0;
  // A new value that is stored in place of the old one is read from there as well.
  const homes = new Map(plan.steps.flatMap((step) => [...step.stores]));
  const homeOf = (node: Node): Node => homes.get(storageOf(node)) ?? storageOf(node);
  const placeOf = (node: Node): Place => ({ home: homeOf(node), offset: offsetOf(node) });
  const addressOf = (node: Node): number =>
    options.address(homeOf(node)) + offsetOf(node) * SINGLE_PRECISION.bytes[node.dtype];
  const context: KernelContext = {
    ...options,
    madd: options.fusedMadd ? f32x4.relaxedMadd : multiplyThenAdd,
    address: addressOf,
    checkRow: (f, row, rows) => emitRowCheck(f, options.barrierAddress, row, rows),
    scratch: (bytes) => {
      scratchBytes = Math.max(scratchBytes, bytes * options.threads);
      return scratchAddress;
    },
  };
  const signatures = plan.steps.map((step) => signatureOf(step, placeOf));
  const uses = new Map<string, number>();
  for (const { key } of signatures) uses.set(key, (uses.get(key) ?? 0) + 1);
  const isRepeated = ({ key }: Signature): boolean => uses.get(key)! >= REPEATED;
  /** A step's phases: written for its arrays alone, or for those that it will be told of. */
  const written = (i: number): Phase[] => {
    const { arrays } = signatures[i];
    const address = (node: Node): Address => {
      const k = arrays.findIndex((other) => isSamePlace(placeOf(other), placeOf(node)));
      return { base: parameter("i32", OWN_PARAMETERS.length + k), plus: 0 };
    };
    return phasesOf(plan.steps[i], isRepeated(signatures[i]) ? { ...context, address } : context);
  };
  // Kernels say how much they need to work in when they are made, so they are made once to ask and once to write.
  const first = new Map(signatures.map(({ key }, i) => [key, i] as const).reverse());
  for (const i of plan.steps.keys()) if (!isRepeated(signatures[i]) || first.get(signatures[i].key) === i) written(i);
  scratchAddress = options.scratch(scratchBytes);

  const module = new ModuleBuilder();
  const known = new Map<string, { units: number; shared: boolean; name: string; code: number }[]>();
  const compiled = plan.steps.map((step, i) => {
    const { key, arrays } = signatures[i];
    const bases = isRepeated(signatures[i]) ? arrays.map(addressOf) : [];
    const parameters = [...OWN_PARAMETERS, ...bases.map(() => "i32" as const)];
    let functions = bases.length > 0 ? known.get(key) : undefined;
    functions ??= written(i).map(({ units, emit }, j) => ({
      units,
      shared: options.threads > 1 && units > 1 && stepWork(step) >= SHARED_WORK,
      name: `${i}.${j}`,
      code: module.function({ parameters, result: "none", export: `${i}.${j}` }, (f, begin, end, thread) =>
        emit(f, begin, end, thread),
      ),
    }));
    known.set(key, functions);
    return functions.map((each) => ({ ...each, bases }));
  });

  const parameters = new Array<"i32">(3 + plan.inputs.length + plan.outputs.length).fill("i32");
  module.function({ parameters, result: "i32", export: "run" }, (f, ...locals) => {
    const [thread, threads, count, ...pointers] = locals;
    // Thread 0 alone needs to meet nobody; what it does alone, between two meetings, needs no meeting in between.
    let apart = false;
    const onOneThread = (body: () => void) => {
      if (options.threads > 1) f.if(i32.eqz(thread), body);
      else body();
      apart = true;
    };
    const meet = () => {
      if (options.threads > 1 && apart)
        f.if(i32.gtU(threads, 1), () => emitBarrier(f, options.barrierAddress, threads));
      apart = false;
    };
    const done = f.forUp(0, count, 1, (done) => {
      onOneThread(() => {
        for (const [i, node] of plan.inputs.entries()) {
          const [place, bytes] = [addressOf(node), bytesOf(node)];
          // A single run's inputs are put in their places from outside.
          f.if(i32.ne(pointers[i], place), () => f.copyMemory(place, pointers[i], bytes));
          f.add(pointers[i], bytes);
        }
      });
      for (const [i, phases] of compiled.entries()) {
        for (const { units, shared, code, bases } of phases) {
          if (shared) {
            meet();
            f.call(code, share(units, thread, threads), share(units, i32.add(thread, 1), threads), thread, ...bases);
            apart = true;
            meet();
          } else onOneThread(() => f.call(code, 0, units, thread, ...bases));
        }
        if (plan.guard && plan.steps[i].writes.includes(storageOf(plan.guard))) {
          meet();
          const value = f.let(f32.load(0, addressOf(plan.guard)));
          f.if(f32.ne(f32.sub(value, value), f32.const(0)), () => {
            // All have read it before any leaves: the next run may store something else there.
            apart = true;
            meet();
            f.return(done);
          });
        }
      }
      onOneThread(() => {
        for (const [i, node] of plan.outputs.entries()) {
          const pointer = pointers[plan.inputs.length + i];
          f.copyMemory(pointer, addressOf(node), bytesOf(node));
          f.add(pointer, bytesOf(node));
        }
        for (const { variable, value } of plan.copies)
          f.copyMemory(options.address(variable), addressOf(value), bytesOf(value));
      });
      // The next run may overwrite what another thread still reads, and the caller reads the outputs.
      meet();
    });
    f.return(done);
  });
  if (options.threads > 1)
    module.function({ parameters: [], result: "none", export: "leave" }, (f) => emitLeave(f, options.barrierAddress));
  return { code: module.encode(options.sharedMaximum), phases: compiled };
}

/** Where thread t of T begins: unit ⌊units · t / T⌋. It ends where the next one begins. */
const share = (units: number, thread: I32, threads: I32): I32 => i32.divU(i32.mul(thread, units), threads);

/** A rough count of a step's work, in floating-point operations; moving a number counts as one. */
const stepWork = (step: Step): number =>
  stepFlops(step) + [...step.reads, ...step.writes].reduce((sum, node) => sum + sizeOf(node.shape), 0);

/** Less work than this is done by one thread sooner than by several that have to meet: some five microseconds of it. */
const SHARED_WORK = 60_000;

/** Whether any step of a plan is worth sharing between threads. */
export const worthSharing = (plan: Plan): boolean => plan.steps.some((step) => stepWork(step) >= SHARED_WORK);

/** A rough count of a plan's work. */
export const planWork = (plan: Plan): number => plan.steps.reduce((sum, step) => sum + stepWork(step), 0);
