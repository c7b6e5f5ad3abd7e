/** Weights of classes as weights of rows, which is all that training knows. */
import { ArgumentError } from "../errors.ts";
import type { Examples } from "./trainer.ts";

/** By class number, or `"balanced"`: in inverse proportion to how often each class occurs. */
export type ClassWeights = "balanced" | Readonly<Record<number, number>> | readonly number[];

/** The class of every row: its label, the largest of its one-hot row, or whether its single value is above 0.5. */
function classesOf({ x, y }: Examples): ArrayLike<number> {
  if (y.kind === "classes") return y.values;
  const width = y.values.length / x.count;
  return Int32Array.from({ length: x.count }, (_, i) => {
    const row = y.values.subarray(i * width, (i + 1) * width);
    return width === 1 ? Number(row[0] > 0.5) : row.indexOf(Math.max(...row));
  });
}

/** The examples with each row's weight multiplied by its class's. */
export function weighClasses(examples: Examples, classWeights: ClassWeights | undefined): Examples {
  if (classWeights === undefined) return examples;
  const classes = classesOf(examples);
  const counts = new Map<number, number>();
  for (let i = 0; i < classes.length; i++) counts.set(classes[i], (counts.get(classes[i]) ?? 0) + 1);
  if (classWeights !== "balanced") {
    for (const [name, weight] of Object.entries(classWeights)) {
      if (!(weight >= 0 && Number.isFinite(weight)))
        throw new ArgumentError(`classWeights: class ${name} has the weight ${weight}; a number ≥ 0 was wanted.`);
      if (!counts.has(Number(name)))
        throw new ArgumentError(
          `classWeights: there is no row of class ${name}. The classes in the data are ${[...counts.keys()].sort((a, b) => a - b).join(", ")}.`,
        );
    }
  }
  const weightOf = (label: number): number =>
    classWeights === "balanced"
      ? classes.length / (counts.size * counts.get(label)!)
      : ((classWeights as Readonly<Record<number, number>>)[label] ?? 1);
  const weights = Float32Array.from({ length: classes.length }, (_, i) => {
    return (examples.weights?.[i] ?? 1) * weightOf(classes[i]);
  });
  return { ...examples, weights };
}
