/**
 * Where the weights of Keras layers stand in a file. Two ways of saying it are in use: by names, such as
 * `dense_1/kernel:0` (TensorFlow.js, Keras's older .h5 files), and by places, such as `layers/dense_1/vars/0` (.keras).
 */
import { show } from "../../checks.ts";
import { DataError } from "../../errors.ts";
import type { Shape } from "../../graph/shape.ts";

/** An array of a file. */
export interface KerasArray {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** Which weight is meant. */
export interface WeightPlace {
  /** The names of the layer and of the models that it lies in, the outermost first. */
  readonly layers: readonly string[];
  /** `layers/bidirectional/forward_layer/cell`: Keras 3's way to it. */
  readonly path: string;
  /** `forward_` or `query`: what a part of the name begins with, where a layer has several of one role. */
  readonly part: string;
  /** `kernel`, and what else it is called. */
  readonly roles: readonly string[];
  /** Which of the weights at that path it is. */
  readonly index: number;
}

/** The weights of a file. */
export interface WeightSource {
  find(place: WeightPlace): KerasArray | undefined;
  /** The names of weights that nothing asked for. */
  leftOver(): string[];
}

/** What files have beside weights: counters of random numbers, how many rows a normalisation has seen. */
const NO_WEIGHTS = /(^|\/)(count|seed_generator(_\d+)?|seed_generator_state)(:0)?(\/|$)/;

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

/** Weights under names. `top` says, where a file has them, the layer of the outermost model that a name belongs to. */
export function byNames(
  arrays: readonly { readonly name: string; readonly top?: string; readonly array: () => KerasArray }[],
): WeightSource {
  const used = new Set<number>();
  const entries = arrays.map(({ name, top }, index) => {
    const parts = name.replace(/:\d+$/, "").split("/");
    return { index, name, top, role: parts[parts.length - 1], parts };
  });
  const byRole = grouped(entries, ({ role }) => role);
  // Names that had been taken were given a number.
  const numbered = grouped(entries, ({ role }) => role.replace(/_\d+$/, ""));
  return {
    find({ layers, part, roles }) {
      const [outer, inner] = [layers[0], layers[layers.length - 1]];
      const fits = (found: readonly (typeof entries)[number][] = []) => {
        const near = found
          .filter(({ top }) => top === undefined || top === outer)
          .filter(({ parts }) => parts.some((each) => each.startsWith(part)));
        const named = near.filter(({ parts }) => parts.includes(inner));
        // In a group of its own a layer may have been given another name since its weights were.
        return named.length > 0 || layers.length > 1 ? named : near.filter(({ top }) => top !== undefined);
      };
      for (const among of [byRole, numbered])
        for (const role of roles) {
          const [found, ...others] = fits(among.get(role));
          if (others.length > 0)
            throw new DataError(
              `The weight ${show(role)} of layer ${show(inner)} could be ${show(found.name)} or ${show(others[0].name)}: the file has both. Give layers different names, and save the model again.`,
            );
          if (!found) continue;
          used.add(found.index);
          return arrays[found.index].array();
        }
      return undefined;
    },
    leftOver: () =>
      entries.filter(({ index, name }) => !used.has(index) && !NO_WEIGHTS.test(name)).map(({ name }) => name),
  };
}

/** Weights at places. */
export function byPaths(arrays: ReadonlyMap<string, () => KerasArray>): WeightSource {
  const used = new Set<string>();
  return {
    find({ path, index }) {
      const steps = path.split("/");
      // Where an attribute is private, or in the first files of this form.
      const hidden = [...steps.slice(0, -1), `_${steps[steps.length - 1]}`].join("/");
      const first = steps.map((step) => (step === "layers" ? "_layer_checkpoint_dependencies" : step)).join("/");
      for (const each of [path, hidden, first]) {
        const key = `${each}/vars/${index}`;
        const found = arrays.get(key);
        if (!found) continue;
        used.add(key);
        return found();
      }
      return undefined;
    },
    leftOver: () => [...arrays.keys()].filter((key) => !used.has(key) && !NO_WEIGHTS.test(key)),
  };
}

/** `MaxPooling2D` → `max_pooling2d`: what Keras 3 calls a layer in the way to its weights. */
export const snakeCase = (className: string): string =>
  className
    .replace(/\W+/g, "")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
