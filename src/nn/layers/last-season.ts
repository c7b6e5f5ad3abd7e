/** The forecast that needs no learning, as a layer: a network beside it learns only what it leaves over. */
import { check, checkWhole } from "../../checks.ts";
import { ShapeError } from "../../errors.ts";
import { showShape } from "../../graph/shape.ts";
import { concat, reshape, slice } from "../../ops/index.ts";
import { defineLayer, type Layer, type LayerOptions } from "../layer.ts";

interface LastSeasonConfig extends LayerOptions {
  readonly horizon: number;
  readonly season: number;
  readonly features: readonly number[];
}

const makeLastSeason = defineLayer<LastSeasonConfig>("lastSeason", {
  options: [],
  apply: ({ horizon, season, features }, { x }) => {
    const [batch, length, width] = x.shape;
    if (x.shape.length !== 3 || length < season || features.some((feature) => feature >= width))
      throw new ShapeError(
        `lastSeason takes windows [places, features] of at least ${season} places and ${Math.max(...features) + 1} features; ${showShape(x.shape.slice(1))} came.`,
      );
    const columns = features.map((feature) => slice(x, [0, length - season, feature], [batch, season, 1]));
    const last = columns.length === 1 ? columns[0] : concat(columns, 2); // [B, season, features]
    const times = Math.ceil(horizon / season);
    const repeated = times === 1 ? last : concat(new Array(times).fill(last), 1);
    return reshape(slice(repeated, [0, 0, 0], [batch, horizon, features.length]), [batch, horizon * features.length]);
  },
  describe: ({ horizon, season }) => `${horizon} of ${season}`,
});

/**
 * The values one season before, for each time ahead: [B, T, D] → [B, horizon · features], time by time; with a season of 1 the last
 * value. It has no parameters.
 *
 * @param options `season`: after how many places the values come again, 1 unless said; `features`: which are foretold, from 0, the first
 * unless said
 *
 * @example
 * // What comes after 14 days: as a week before, and what a network makes of the rest.
 * const model = sequential({ input: [14, 1] }, [residual([flatten(), dense(7)], { projection: lastSeason(7, { season: 7 }) })]);
 */
export function lastSeason(
  horizon: number,
  options: LayerOptions & { readonly season?: number; readonly features?: readonly number[] } = {},
): Layer {
  const { season = 1, features = [0], ...others } = options;
  checkWhole("lastSeason: ", { horizon, season }, 1);
  const areFeatures =
    Array.isArray(features) && features.length > 0 && features.every((f) => Number.isInteger(f) && f >= 0);
  check(areFeatures, "lastSeason: features must be whole numbers ≥ 0, at least one", features);
  return makeLastSeason(others, { horizon, season, features: [...features] });
}
