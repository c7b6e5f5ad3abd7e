/** Typed arrays that grow: what is read piece by piece, in as little memory as it can be, is gathered in them. */

/** A typed array that grows at its end. */
export class Growing<A extends Int32Array | Float32Array | Float64Array> {
  #array: A;
  readonly #kind: new (
    length: number,
  ) => A;
  length = 0;

  /** `expected` is how many numbers will probably come; memory that nothing is written to costs nothing. */
  constructor(kind: new (length: number) => A, expected = 64) {
    this.#kind = kind;
    this.#array = new kind(Math.max(expected, 1));
  }

  push(value: number): void {
    if (this.length === this.#array.length) this.#grow(this.length * 2);
    this.#array[this.length++] = value;
  }

  append(values: ArrayLike<number>): void {
    this.#reserve(values.length);
    this.#array.set(values, this.length);
    this.length += values.length;
  }

  /**
   * Appends what are numbers in `values` from index `from` on, up to the first item that is none, and gives its index. One
   * loop that sees plain arrays alone: V8 then reads their numbers without making an object of each.
   */
  appendNumbers(values: readonly unknown[], from: number): number {
    this.#reserve(values.length - from);
    const array = this.#array;
    let [i, end] = [from, this.length];
    for (; i < values.length; i++) {
      const value = values[i];
      if (typeof value !== "number") break;
      array[end++] = value;
    }
    this.length = end;
    return i;
  }

  #reserve(more: number): void {
    if (this.length + more > this.#array.length) this.#grow(Math.max(this.length + more, this.length * 2));
  }

  #grow(capacity: number): void {
    const larger = new this.#kind(capacity);
    larger.set(this.#array);
    this.#array = larger;
  }

  at(i: number): number {
    return this.#array[i];
  }

  /** What has come: a copy, unless nothing is left of the room for more. */
  values(): A {
    return this.length === this.#array.length ? this.#array : (this.#array.slice(0, this.length) as A);
  }
}
