/**
 * The code of a loop over time: its turns call the functions of the body's steps, and tell them where the arrays of this turn lie.
 * The body is compiled once, however many turns there are.
 */
import type { Node } from "../../graph/node.ts";
import type { MovingPlace } from "../../graph/op.ts";
import { elementAt } from "../../plan/operands.ts";
import type { Step } from "../../plan/plan.ts";
import { aligned, bytesOf, SINGLE_PRECISION } from "../../plan/target.ts";
import { type FunctionBuilder, type Int, i32, type Local } from "./assembler.ts";
import { type Crew, oneThread, type Routine } from "./crew.ts";
import { placesIn } from "./signature.ts";

const { bytes: BYTES } = SINGLE_PRECISION;

/** What is known of the steps of a loop's body. */
export interface Compiled {
  routinesOf(step: Step): readonly Routine[];
  /** Whether threads share anything of it. */
  isShared(step: Step): boolean;
}

const plus = (address: Int, bytes: number): Int =>
  typeof address === "number" ? address + bytes : bytes === 0 ? address : i32.add(address, bytes);

/** @param addressOf where the loop's operands, its result and its workspace lie */
export function emitTurns(
  f: FunctionBuilder,
  { root, loop }: Step,
  addressOf: (node: Node) => Int,
  crew: Crew,
  compiled: Compiled,
): void {
  const { turns, plan, workspace } = loop!;
  const [own, work] = [addressOf(root!), addressOf(workspace)];
  const arena = plus(work, aligned(turns.work * BYTES.float));
  const arrayAt = (array: MovingPlace["array"]): Int =>
    array === "own" ? own : array === "work" ? work : addressOf(root!.inputs[array]);
  /** Where a leaf of the body lies in a turn, whose number may be known now or when the code runs. */
  const leafAt = (leaf: Node, turn: number | Local<"i32">): Int => {
    const place = turns.places.get(leaf)!;
    const bytes = BYTES[leaf.dtype];
    const array = arrayAt(place.array);
    if (typeof turn === "number") return plus(array, elementAt(place, turn) * bytes);
    if (place.step === 0) return plus(array, place.offset * bytes);
    const moved = i32.mul(place.alternates ? i32.and(turn, 1) : turn, place.step * bytes);
    return i32.add(moved, plus(array, place.offset * bytes));
  };

  crew.one(() => {
    for (const { operand, leaf } of turns.before)
      f.copyMemory(leafAt(leaf, 0), addressOf(root!.inputs[operand]), bytesOf(leaf));
  });
  crew.meet();
  const placeOf = placesIn(plan);
  f.forUp(0, turns.length, 1, (turn) => {
    const leaves = new Map(
      [...turns.places.keys()].map((leaf) => {
        const address = leafAt(leaf, turn);
        return [leaf, typeof address === "number" ? address : f.let(address)] as const;
      }),
    );
    const inTurn = (node: Node): Int => {
      const { home, offset } = placeOf(node);
      return plus(leaves.get(home) ?? plus(arena, plan.slots.get(home)!.offset), offset * BYTES[node.dtype]);
    };
    for (const step of plan.steps) {
      if (!step.loop) for (const routine of compiled.routinesOf(step)) crew.call(routine, routine.arrays.map(inTurn));
      else if (compiled.isShared(step)) emitTurns(f, step, inTurn, crew, compiled);
      else crew.one(() => emitTurns(f, step, inTurn, oneThread(f), compiled));
    }
    // Each turn reads what the one before has written.
    crew.meet();
  });
  crew.one(() => {
    for (const { leaf, offset } of turns.after)
      f.copyMemory(plus(own, offset * BYTES.float), leafAt(leaf, turns.length), bytesOf(leaf));
  });
}
