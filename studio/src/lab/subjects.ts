/** What can be clicked and explained, and what comes back: plain data. */
import type { Block, UnitDescription, WeightDescription } from "chainrule/explain";

/** What one press of a step button goes over. */
export type Stride = "op" | "row" | "batch" | "epoch";

/** What was changed by hand: one weight, one number of the row, or the whole row, as when it is drawn. */
export type Change =
  | { readonly kind: "weight"; readonly name: string; readonly index: readonly number[]; readonly value: number }
  | { readonly kind: "input"; readonly index: number; readonly value: number }
  | { readonly kind: "row"; readonly x: readonly number[] };

/** One weight in the step that comes next. */
export interface WeightLook {
  readonly moment: number;
  /** For the row that is looked at alone. */
  readonly ofRow: WeightDescription;
  /** For the batch of the step that comes next, and the optimiser's arithmetic with it. */
  readonly ofBatch: WeightDescription;
  /** Each row of the batch, and what it adds to the gradient. */
  readonly shares: readonly { readonly row: number; readonly share: number }[];
  readonly rowBlocks: readonly Block[];
  readonly batchBlocks: readonly Block[];
}

/** One unit for the row that is looked at. */
export interface UnitLook {
  readonly moment: number;
  readonly unit: UnitDescription;
  readonly blocks: readonly Block[];
}
