/** What stands out in a layer during this step: units that let no gradient through, values that are not finite. */
import type { Note } from "./description.ts";
import type { Jacobians } from "./jacobian.ts";
import type { Stop } from "./named-arrays.ts";
import type { Opened } from "./opened-step.ts";

/** A derivative below this lets almost nothing through. */
const SATURATED = 1e-4;

/** The notes on one layer, from the derivatives of what it computes element by element. */
export function notesOn(opened: Opened, jacobians: Jacobians, layer: string, stops: readonly Stop[]): Note[] {
  const notes: Note[] = [];
  for (const stop of stops) {
    const values = opened.values.get(stop.node);
    if (!values.every((x) => Number.isFinite(x))) {
      notes.push({ kind: "notFinite", layer, units: [], message: `${stop.name} has values that are NaN or infinite.` });
    }
    // What has two operands, such as a value and a dropout mask, is not an activation.
    const operands = [...jacobians.cut(stop).leaves.keys()].filter(({ role }) => role !== "parameter");
    for (const from of operands.length === 1 ? operands : []) {
      if (from.role !== "result" || from.node.dtype !== "float" || !jacobians.isDiagonal(stop, from)) continue;
      const derivative = jacobians.diagonal(stop, from);
      const units = stop.node.shape[stop.node.shape.length - 1];
      const largest = new Float64Array(units);
      const isZero = new Array<boolean>(units).fill(true);
      for (let i = 0; i < derivative.length; i++) {
        largest[i % units] = Math.max(largest[i % units], Math.abs(derivative[i]));
        if (values[i] !== 0) isZero[i % units] = false;
      }
      const all = [...largest.keys()];
      const dead = all.filter((unit) => largest[unit] === 0 && isZero[unit]);
      const saturated = all.filter((unit) => largest[unit] < SATURATED && !dead.includes(unit));
      const rows = opened.batchSize === 1 ? "this sample" : `all ${opened.batchSize} samples`;
      const [of, by] = [stop.symbol.letter, from.symbol.letter];
      if (dead.length > 0) {
        notes.push({
          kind: "dead",
          layer,
          units: dead,
          message: `${unitsText(dead, units)} of ${layer} ${dead.length === 1 ? "is" : "are"} dead for ${rows}: ${of} = 0 and ∂${of}/∂${by} = 0, so no gradient comes through.`,
        });
      }
      if (saturated.length > 0) {
        notes.push({
          kind: "saturated",
          layer,
          units: saturated,
          message: `${unitsText(saturated, units)} of ${layer} ${saturated.length === 1 ? "is" : "are"} saturated for ${rows}: |∂${of}/∂${by}| < ${SATURATED}, so hardly any gradient comes through.`,
        });
      }
    }
  }
  return notes;
}

function unitsText(units: readonly number[], of: number): string {
  if (units.length === 1) return `Unit ${units[0]}`;
  const shown = units.slice(0, 8).join(", ");
  return units.length > 8 ? `${units.length} of ${of} units (${shown}, …)` : `Units ${shown}`;
}
