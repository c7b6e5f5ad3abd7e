/** The order that stays topological while edges come and vertices merge, compared with looking through the whole graph. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Order } from "../../src/plan/order.ts";

/** The same questions, answered by walking every path. */
class Plain {
  readonly part: number[];
  readonly edges: (readonly [number, number])[] = [];

  constructor(count: number) {
    this.part = Array.from({ length: count }, (_, v) => v);
  }

  reaches(from: number, to: number, detour = false): boolean {
    const [start, end] = [this.part[from], this.part[to]];
    const follow = (v: number): number[] =>
      this.edges
        .filter(([a]) => this.part[a] === v)
        .map(([, b]) => this.part[b])
        .filter((w) => w !== v);
    const seen = new Set(follow(start).filter((v) => !(detour && v === end)));
    for (const v of seen) for (const next of follow(v)) seen.add(next);
    return start === end || seen.has(end);
  }

  merge(a: number, b: number): void {
    const [gone, kept] = [this.part[a], this.part[b]];
    for (const [v, part] of this.part.entries()) if (part === gone) this.part[v] = kept;
  }
}

test("random edges, merges and questions", () => {
  const action = fc.record({ kind: fc.constantFrom("link", "merge", "ask"), a: fc.nat(11), b: fc.nat(11) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const [order, plain] = [new Order(12), new Plain(12)];
      for (const { kind, a, b } of actions) {
        if (kind === "ask") {
          expect(order.reaches(a, b)).toBe(plain.reaches(a, b));
        } else if (kind === "link" && !plain.reaches(b, a)) {
          order.link(a, b);
          plain.edges.push([a, b]);
        } else if (kind === "merge") {
          const joined = plain.edges.some(
            ([x, y]) => plain.part[x] === plain.part[a] && plain.part[y] === plain.part[b],
          );
          if (!joined || plain.part[a] === plain.part[b]) continue;
          const free = !plain.reaches(a, b, true);
          expect(order.merge(a, b)).toBe(free);
          if (free) plain.merge(a, b);
        }
      }
      const sorted = order.sort(() => 0);
      const place = (v: number): number => sorted.indexOf(order.of(v));
      expect(sorted).toHaveLength(new Set(plain.part).size);
      for (const [a, b] of plain.edges)
        if (plain.part[a] === plain.part[b]) expect(place(a)).toBe(place(b));
        else expect(place(a)).toBeLessThan(place(b));
    }),
    { numRuns: 2000, seed: 1 },
  );
});

test("the least rank comes first, as soon as its turn may be; among equals, what was ready first", () => {
  const order = new Order(5);
  order.link(3, 0);
  order.link(4, 1);
  const ranks = [-1, 7, 2, 9, 5];
  expect(order.sort((v) => ranks[v])).toEqual([2, 4, 1, 3, 0]);
  expect(order.sort(() => 0)).toEqual([2, 3, 4, 0, 1]);
});

test("an edge at the very place of another, a thousand times over, runs out of no room", () => {
  const order = new Order(2000);
  for (let v = 1999; v > 0; v--) order.link(v, v - 1);
  expect(order.sort((v) => v)).toEqual(Array.from({ length: 2000 }, (_, i) => 1999 - i));
});
