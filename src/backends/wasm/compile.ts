/**
 * Compiles a plan to one WebAssembly module: a function per phase of each step, and `run`, which goes through them as
 * many times as asked. Every thread runs the same code; a phase's units are dealt out among them.
 */
import { PlatformError } from "../../errors.ts";
import type { Node } from "../../graph/node.ts";
import { sizeOf } from "../../graph/shape.ts";
import { storageOf } from "../../plan/operands.ts";
import { type Plan, type Step, stepFlops } from "../../plan/plan.ts";
import { bytesOf, SINGLE_PRECISION } from "../../plan/target.ts";
import { type Address, f32, f32x4, i32, ModuleBuilder, parameter } from "./assembler.ts";
import { emitLeave, emitRowCheck } from "./barrier.ts";
import { oneThread, type Routine, severalThreads } from "./crew.ts";
import type { KernelContext, Phase } from "./kernel.ts";
import { KERNELS } from "./kernels/index.ts";
import { loop } from "./kernels/loop.ts";
import type { Madd } from "./math.ts";
import { isSamePlace, type Place, placesIn, type Signature, signatureOf } from "./signature.ts";
import { emitTurns } from "./turns.ts";

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

const { bytes: BYTES } = SINGLE_PRECISION;

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

/** A step that functions are written for, of the plan or of a loop's body in it. */
interface Task extends Signature {
  readonly step: Step;
  readonly inLoop: boolean;
  placeOf(node: Node): Place;
}

function* tasksOf(plan: Plan, inLoop = false): Generator<Task> {
  const placeOf = placesIn(plan);
  for (const step of plan.steps) {
    if (step.loop) yield* tasksOf(step.loop.plan, true);
    else yield { step, inLoop, placeOf, ...signatureOf(step, placeOf) };
  }
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
  const placeOf = placesIn(plan);
  const addressOf = (node: Node): number => {
    const { home, offset } = placeOf(node);
    return options.address(home) + offset * BYTES[node.dtype];
  };
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
  const tasks = [...tasksOf(plan)];
  const uses = new Map<string, number>();
  // What the turns of a loop read and write lies elsewhere in each.
  for (const { key, inLoop } of tasks) uses.set(key, (uses.get(key) ?? 0) + (inLoop ? REPEATED : 1));
  const isTold = ({ key }: Task): boolean => uses.get(key)! >= REPEATED;
  /** A step's phases: written for its arrays alone, or for those that it will be told of. */
  const written = (task: Task): Phase[] => {
    const { step, arrays, placeOf } = task;
    const told = (node: Node): Address => {
      const k = arrays.findIndex((other) => isSamePlace(placeOf(other), placeOf(node)));
      return { base: parameter("i32", OWN_PARAMETERS.length + k), plus: 0 };
    };
    return phasesOf(step, isTold(task) ? { ...context, address: told } : context);
  };
  // Kernels say how much they need to work in when they are made, so they are made once to ask and once to write.
  const asked = new Set<string>();
  for (const task of tasks) {
    if (!isTold(task) || !asked.has(task.key)) written(task);
    asked.add(task.key);
  }
  scratchAddress = options.scratch(scratchBytes);

  const module = new ModuleBuilder();
  const known = new Map<string, readonly Routine[]>();
  const routines = new Map<Step, readonly Routine[]>();
  for (const [i, task] of tasks.entries()) {
    const arrays = isTold(task) ? task.arrays : [];
    const parameters = [...OWN_PARAMETERS, ...arrays.map(() => "i32" as const)];
    const functions =
      (isTold(task) && known.get(task.key)) ||
      written(task).map(({ units, emit }, j) => ({
        units,
        shared: options.threads > 1 && units > 1 && stepWork(task.step) >= SHARED_WORK,
        name: `${i}.${j}`,
        code: module.function({ parameters, result: "none", export: `${i}.${j}` }, (f, begin, end, thread) =>
          emit(f, begin, end, thread),
        ),
        arrays,
      }));
    known.set(task.key, functions);
    routines.set(
      task.step,
      functions.map((each) => ({ ...each, arrays })),
    );
  }
  const isShared = (step: Step): boolean =>
    step.loop?.plan.steps.some(isShared) ?? routines.get(step)!.some(({ shared }) => shared);
  // What is not shared, and for profiles what is, a loop does in a function of its own.
  for (const [i, step] of plan.steps.entries()) {
    if (!step.loop) continue;
    const name = `loop ${i}`;
    const code = module.function({ parameters: OWN_PARAMETERS, result: "none", export: name }, (f) =>
      emitTurns(f, step, addressOf, oneThread(f), { routinesOf: (inner) => routines.get(inner)!, isShared }),
    );
    routines.set(step, [{ name, code, units: 1, shared: false, arrays: [] }]);
  }

  const parameters = new Array<"i32">(3 + plan.inputs.length + plan.outputs.length).fill("i32");
  module.function({ parameters, result: "i32", export: "run" }, (f, ...locals) => {
    const [thread, threads, count, ...pointers] = locals;
    const crew = options.threads > 1 ? severalThreads(f, thread, threads, options.barrierAddress) : oneThread(f);
    const done = f.forUp(0, count, 1, (done) => {
      crew.one(() => {
        for (const [i, node] of plan.inputs.entries()) {
          const [place, bytes] = [addressOf(node), bytesOf(node)];
          // A single run's inputs are put in their places from outside.
          f.if(i32.ne(pointers[i], place), () => f.copyMemory(place, pointers[i], bytes));
          f.add(pointers[i], bytes);
        }
      });
      for (const step of plan.steps) {
        const own = routines.get(step)!;
        if (step.loop && isShared(step))
          emitTurns(f, step, addressOf, crew, { routinesOf: (inner) => routines.get(inner)!, isShared });
        else for (const routine of own) crew.call(routine, routine.arrays.map(addressOf));
        if (plan.guard && step.writes.includes(storageOf(plan.guard))) {
          crew.meet();
          const value = f.let(f32.load(0, addressOf(plan.guard)));
          f.if(f32.ne(f32.sub(value, value), f32.const(0)), () => {
            // All have read it before any leaves: the next run may store something else there.
            crew.meet(true);
            f.return(done);
          });
        }
      }
      crew.one(() => {
        for (const [i, node] of plan.outputs.entries()) {
          const pointer = pointers[plan.inputs.length + i];
          f.copyMemory(pointer, addressOf(node), bytesOf(node));
          f.add(pointer, bytesOf(node));
        }
        for (const { variable, value } of plan.copies)
          f.copyMemory(options.address(variable), addressOf(value), bytesOf(value));
      });
      // The next run may overwrite what another thread still reads, and the caller reads the outputs.
      crew.meet();
    });
    f.return(done);
  });
  if (options.threads > 1)
    module.function({ parameters: [], result: "none", export: "leave" }, (f) => emitLeave(f, options.barrierAddress));
  const phases = plan.steps.map((step) =>
    routines.get(step)!.map(({ name, units, arrays }) => ({ name, units, bases: arrays.map(addressOf) })),
  );
  return { code: module.encode(options.sharedMaximum), phases };
}

/** A rough count of a step's work, in floating-point operations; moving a number counts as one. */
const stepWork = (step: Step): number =>
  step.loop
    ? step.loop.turns.length * planWork(step.loop.plan)
    : stepFlops(step) + [...step.reads, ...step.writes].reduce((sum, node) => sum + sizeOf(node.shape), 0);

/** Less work than this is done by one thread sooner than by several that have to meet: some five microseconds of it. */
const SHARED_WORK = 60_000;

/** Whether any step of a plan is worth sharing between threads. */
export const worthSharing = (plan: Plan): boolean =>
  plan.steps.some((step) => (step.loop ? worthSharing(step.loop.plan) : stepWork(step) >= SHARED_WORK));

/** A rough count of a plan's work. */
export const planWork = (plan: Plan): number => plan.steps.reduce((sum, step) => sum + stepWork(step), 0);
