/** Weights of classes as weights of rows, which is all that training knows. */
import { checkNumbers, FROM_0 } from "../checks.ts";
import { ArgumentError } from "../errors.ts";
import { crossEntropy, hasLabels, type Loss } from "../nn/losses.ts";
import type { Examples } from "./examples.ts";
import { classesOf } from "./metrics.ts";

/**
 * By class number, or by class name, which goes before a number; or `"balanced"`: in inverse proportion to how often each
 * class occurs. Of data from a function the first epoch is read once more, to count them.
 */
export type ClassWeights = "balanced" | Readonly<Record<string, number>> | readonly number[];

/** Adds to `counts` how often each class occurs in these rows. */
export function countClasses(
  examples: Examples,
  loss: Loss = crossEntropy(),
  counts = new Map<number, number>(),
): Map<number, number> {
  if (examples.y.length > 1)
    throw new ArgumentError(
      `classWeights is for networks with one output; this one has ${examples.y.length}. Weigh rows instead: { x, y, weights }.`,
    );
  const [targets] = examples.y;
  const width = targets.values.length / examples.count;
  if (targets.kind === "values" && hasLabels(loss, width))
    throw new ArgumentError(
      `classWeights is for one class per row; with ${loss.name} each of the ${width} outputs is a label of its own, and a row has several. Weigh rows instead: { x, y, weights }.`,
    );
  for (const label of classesOf(targets, examples.count)) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

/**
 * Multiplies each row's weight by its class's. What "balanced" means, and which classes there are, is said by `counts`: of
 * the rows of the first epoch, for data that come anew in each. `names` are those of the classes.
 */
export function classWeigher(
  counts: ReadonlyMap<number, number>,
  classWeights: ClassWeights | undefined,
  names: readonly string[] = [],
): (some: Examples) => Examples {
  if (classWeights === undefined) return (some) => some;
  const weights = new Map<number, number>();
  if (classWeights === "balanced") {
    const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
    for (const [label, count] of counts) weights.set(label, all / (counts.size * count));
  } else {
    for (const [name, weight] of Object.entries(classWeights)) {
      checkNumbers("classWeights: that of ", { [name]: weight }, FROM_0);
      const named = Array.isArray(classWeights) ? -1 : names.indexOf(name);
      const label = named < 0 ? Number(name) : named;
      if (!counts.has(label)) {
        const known = [...counts.keys()].sort((a, b) => a - b).map((c) => names[c] ?? c);
        throw new ArgumentError(
          `classWeights: there is no row of class ${name}. The classes in the data are ${known.join(", ")}.`,
        );
      }
      weights.set(label, weight);
    }
  }
  return (some) => ({
    ...some,
    weights: Float32Array.from(
      classesOf(some.y[0], some.count),
      (label, i) => (some.weights?.[i] ?? 1) * (weights.get(label) ?? 1),
    ),
  });
}
