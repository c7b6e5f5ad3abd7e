/**
 * A topological order that stays one while edges are added and vertices merge. A question asks only what lies between two
 * places of the order, from both ends at once, so that its cost is what the nearer end sees of it and not the whole graph
 * (after Pearce & Kelly, "A Dynamic Topological Sort Algorithm for Directed Acyclic Graphs", 2006, and the two-way search
 * of Bender, Fineman & Gilbert, 2009). Vertices are numbers from 0; a merged vertex goes by one of them, which `of` gives.
 */
export class Order {
  readonly #merged: number[];
  readonly #after: number[][];
  readonly #before: number[][];
  /** Where a vertex stands: a number that is larger than those of all that must come before it. */
  readonly #places: number[];
  /** The vertices beside a vertex in the order. The last number of both is that of the order's two ends. */
  readonly #next: number[];
  readonly #previous: number[];

  /** Vertices without edges, in the order of their numbers. */
  constructor(count: number) {
    this.#merged = Array.from({ length: count }, (_, v) => v);
    this.#after = this.#merged.map(() => []);
    this.#before = this.#merged.map(() => []);
    this.#places = new Array<number>(count + 1).fill(0);
    this.#next = [...this.#places];
    this.#previous = [...this.#places];
    this.#arrange(this.#merged);
  }

  /** The vertex that v is a part of now. */
  of(v: number): number {
    let part = v;
    while (this.#merged[part] !== part) {
      this.#merged[part] = this.#merged[this.#merged[part]];
      part = this.#merged[part];
    }
    return part;
  }

  reaches(from: number, to: number): boolean {
    const [a, b] = [this.of(from), this.of(to)];
    return a === b || (this.#places[a] < this.#places[b] && !this.#between(a, b));
  }

  /** Adds an edge. What it leads to must not reach where it begins. */
  link(from: number, to: number): void {
    const [a, b] = [this.of(from), this.of(to)];
    if (this.#places[a] > this.#places[b]) {
      const between = this.#between(b, a)!;
      this.#clear(between, b, a);
      if (between.side === "later") this.#move([b], a);
      else this.#move([a], this.#previous[b]);
    }
    this.#after[a].push(b);
    this.#before[b].push(a);
  }

  /** Makes one vertex of two that an edge joins; false, and nothing done, if another path leads to the second as well. */
  merge(first: number, second: number): boolean {
    const [a, b] = [this.of(first), this.of(second)];
    const between = this.#between(a, b, true);
    if (!between) return false;
    this.#clear(between, a, b);
    const [kept, gone] = between.side === "later" ? [b, a] : [a, b];
    this.#unlink(gone);
    this.#merged[gone] = kept;
    for (const edges of [this.#after, this.#before]) {
      const [few, many] = [edges[a], edges[b]].sort((x, y) => x.length - y.length);
      for (const v of few) many.push(v);
      edges[kept] = many;
      edges[gone] = [];
    }
    return true;
  }

  /** Sorts all vertices anew, and gives them: of those whose turn it may be, always one of the least rank. */
  sort(rank: (vertex: number) => number): number[] {
    const all = this.#merged.filter((whole, v) => whole === v);
    const waiting = new Map(all.map((v) => [v, this.#neighbours(this.#before, v).length]));
    const ready = new Heap();
    for (const v of all) if (waiting.get(v) === 0) ready.add(v, rank(v));
    const sorted: number[] = [];
    for (let v = ready.take(); v !== undefined; v = ready.take()) {
      sorted.push(v);
      for (const next of this.#neighbours(this.#after, v)) {
        const left = waiting.get(next)! - 1;
        waiting.set(next, left);
        if (left === 0) ready.add(next, rank(next));
      }
    }
    if (sorted.length < all.length) throw new Error("The planner made a circle of steps; this is a mistake in plan/.");
    this.#arrange(sorted);
    return sorted;
  }

  /** The vertices at the ends of a vertex's edges, as often as there are edges; forgets those that merging made its own. */
  #neighbours(edges: number[][], v: number): readonly number[] {
    const ends = edges[v];
    let count = 0;
    for (const end of ends) {
      const vertex = this.of(end);
      if (vertex !== v) ends[count++] = vertex;
    }
    ends.length = count;
    return ends;
  }

  /**
   * What stands between two vertices and must come after the first, or else what must come before the second: whichever
   * is known sooner. Undefined if the first reaches the second; an edge between them does not count where only a detour is
   * asked for.
   */
  #between(first: number, second: number, detour = false): Between | undefined {
    const later = new Set([first]);
    const earlier = new Set([second]);
    const [from, to] = [this.#places[first], this.#places[second]];
    // Sets that are iterated give what is added on the way, too.
    const [forwards, backwards] = [later.values(), earlier.values()];
    for (;;) {
      const v = forwards.next();
      if (v.done) break;
      for (const next of this.#neighbours(this.#after, v.value)) {
        if (earlier.has(next) && !(detour && v.value === first && next === second)) return undefined;
        if (this.#places[next] < to) later.add(next);
      }
      const w = backwards.next();
      if (w.done) {
        earlier.delete(second);
        return { side: "earlier", vertices: [...earlier] };
      }
      for (const previous of this.#neighbours(this.#before, w.value)) {
        if (later.has(previous) && !(detour && w.value === second && previous === first)) return undefined;
        if (this.#places[previous] > from) earlier.add(previous);
      }
    }
    later.delete(first);
    return { side: "later", vertices: [...later] };
  }

  /** Moves what stands between two vertices out of their way. */
  #clear({ side, vertices }: Between, first: number, second: number): void {
    vertices.sort((a, b) => this.#places[a] - this.#places[b]);
    this.#move(vertices, side === "later" ? second : this.#previous[first]);
  }

  /** Puts vertices, in this order, right after another one or, given the order's end, at its beginning. */
  #move(vertices: readonly number[], after: number): void {
    const end = this.#merged.length;
    for (const v of vertices) this.#unlink(v);
    const next = this.#next[after];
    const from = after === end ? this.#places[next] - vertices.length - 1 : this.#places[after];
    const to = next === end ? from + vertices.length + 1 : this.#places[next];
    const room = (to - from) / (vertices.length + 1);
    let last = after;
    for (const [i, v] of vertices.entries()) {
      this.#join(last, v);
      this.#places[v] = from + (i + 1) * room;
      last = v;
    }
    this.#join(last, next);
    // Numbers have no more room between two that are close: all get new ones.
    if (room < 1e-6) this.#number();
  }

  #unlink(v: number): void {
    this.#join(this.#previous[v], this.#next[v]);
  }

  #join(a: number, b: number): void {
    this.#next[a] = b;
    this.#previous[b] = a;
  }

  /** Puts all vertices in this order. */
  #arrange(vertices: readonly number[]): void {
    const ring = [this.#merged.length, ...vertices];
    for (const [i, v] of ring.entries()) this.#join(v, ring[(i + 1) % ring.length]);
    this.#number();
  }

  #number(): void {
    const end = this.#merged.length;
    for (let v = this.#next[end], place = 0; v !== end; v = this.#next[v]) this.#places[v] = place++;
  }
}

/** Vertices between two others that follow from the first, or that lead to the second. */
interface Between {
  readonly side: "later" | "earlier";
  readonly vertices: number[];
}

/** What has the least rank comes first; among equals, what came first. */
class Heap {
  readonly #items: { readonly vertex: number; readonly rank: number; readonly turn: number }[] = [];
  #turns = 0;

  add(vertex: number, rank: number): void {
    this.#items.push({ vertex, rank, turn: this.#turns++ });
    let i = this.#items.length - 1;
    while (i > 0 && this.#swapIfLess(i, (i - 1) >> 1)) i = (i - 1) >> 1;
  }

  take(): number | undefined {
    const items = this.#items;
    if (items.length === 0) return undefined;
    const [first, last] = [items[0], items.pop()!];
    if (items.length > 0) items[0] = last;
    for (let i = 0; 2 * i + 1 < items.length; ) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      const least = right < items.length && this.#isLess(right, left) ? right : left;
      if (!this.#swapIfLess(least, i)) break;
      i = least;
    }
    return first.vertex;
  }

  #isLess(i: number, j: number): boolean {
    const [a, b] = [this.#items[i], this.#items[j]];
    return a.rank < b.rank || (a.rank === b.rank && a.turn < b.turn);
  }

  #swapIfLess(i: number, j: number): boolean {
    if (!this.#isLess(i, j)) return false;
    [this.#items[i], this.#items[j]] = [this.#items[j], this.#items[i]];
    return true;
  }
}
