/** Sequences of different lengths: nothing is lost, buckets have the least padding there is, packed rows ask within sequences alone. */
import { buckets, pack } from "chainrule/data";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const sequencesOf = (most: number) =>
  fc.array(fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: most }), {
    minLength: 1,
    maxLength: 12,
  });

/** The fewest places of all ways to choose lengths, tried one by one. */
function fewest(lengths: readonly number[], count: number): number {
  const distinct = [...new Set(lengths)].sort((a, b) => a - b);
  const longest = distinct[distinct.length - 1];
  let best = Number.POSITIVE_INFINITY;
  for (let chosen = 0; chosen < 2 ** (distinct.length - 1); chosen++) {
    const limits = [...distinct.slice(0, -1).filter((_, i) => chosen & (1 << i)), longest];
    if (limits.length > count) continue;
    best = Math.min(
      best,
      lengths.reduce((sum, length) => sum + limits.find((limit) => limit >= length)!, 0),
    );
  }
  return best;
}

describe("buckets", () => {
  test("every sequence is in one of them, with its padding behind; no other lengths would need fewer places", () => {
    fc.assert(
      fc.property(sequencesOf(8), fc.integer({ min: 1, max: 4 }), (sequences, count) => {
        const made = buckets(sequences, { count, padding: -7 });
        expect(made.length).toBeLessThanOrEqual(count);
        expect(made.flatMap(({ rows }) => [...rows]).sort((a, b) => a - b)).toEqual([...sequences.keys()]);
        for (const { length, rows, x, lengths } of made)
          rows.forEach((row, k) => {
            const own = [...x.subarray(k * length, (k + 1) * length)];
            expect(lengths[k]).toBe(sequences[row].length);
            expect(own).toEqual([...sequences[row], ...Array(length - sequences[row].length).fill(-7)]);
          });
        const places = made.reduce((sum, { count: rows, length }) => sum + rows * length, 0);
        expect(places).toBe(
          fewest(
            sequences.map(({ length }) => length),
            count,
          ),
        );
      }),
    );
  });

  test("places of several features", () => {
    const [one] = buckets(
      [
        [1, 2, 3, 4],
        [5, 6],
      ],
      { features: 2, count: 1 },
    );
    expect([one.length, [...one.x]]).toEqual([2, [1, 2, 3, 4, 5, 6, 0, 0]]);
    expect(() => buckets([[1, 2, 3]], { features: 2 })).toThrow(
      /row 1: the sequence has 3 numbers; 2 numbers for each/,
    );
    expect(() => buckets([[1], []])).toThrow(/row 2: the sequence has 0 numbers/);
    expect(() => buckets([])).toThrow(/at least one sequence/);
    expect(() => buckets([[1]], { count: 0 })).toThrow(/count must be a whole number ≥ 1/);
  });
});

describe("packed rows", () => {
  test("every pair of neighbours is asked for once, and nothing else", () => {
    fc.assert(
      fc.property(sequencesOf(20), fc.integer({ min: 1, max: 9 }), (sequences, length) => {
        const { x, y, count, padded } = pack(sequences, { length, padding: 0 });
        expect([x.length, y.length]).toEqual([count * length, count * length]);
        const asked: string[] = [];
        x.forEach((token, i) => {
          if (y[i] >= 0) asked.push(`${token} ${y[i]}`);
        });
        const pairs = sequences.flatMap((sequence) => sequence.slice(1).map((next, i) => `${sequence[i]} ${next}`));
        expect(asked.sort()).toEqual(pairs.sort());
        const tokens = sequences.flat().length;
        expect(x.filter((token) => token > 0).length).toBe(tokens);
        expect(padded).toBeCloseTo(1 - tokens / (count * length), 12);
      }),
    );
  });

  test("refused", () => {
    expect(() => pack([[1], []], { length: 4 })).toThrow(/row 2/);
    expect(() => pack([[1]], { length: 0 })).toThrow(/length must be a whole number ≥ 1/);
    expect(() => pack([[1]], { lengths: 4 } as never)).toThrow(/Did you mean "length"/);
  });
});
