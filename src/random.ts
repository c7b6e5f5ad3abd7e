/**
 * Random numbers that depend on nothing but a seed, a stream's name and a position: Threefry-2x32 with 20 rounds
 * (Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
 * A generator that counts instead of carrying hidden state gives the same numbers on every thread and after every
 * resume. The op `randomUniform` uses the same function inside a plan.
 */

/** The rotation distances of the rounds, in two alternating groups of four. */
export const ROTATIONS = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

/** The constant that makes the third word of the key schedule. */
export const KEY_PARITY = 0x1bd11bda;

/** Encrypts the counter (c0, c1) under the key (k0, k1): two unsigned 32-bit words. */
export function threefry2x32(k0: number, k1: number, c0: number, c1: number): [number, number] {
  // The key's words take turns, in plain variables: a shuffle calls this once for each of its rows.
  let [a, b, c] = [k0 | 0, k1 | 0, k0 ^ k1 ^ KEY_PARITY];
  let x = (c0 + a) | 0;
  let y = (c1 + b) | 0;
  for (let group = 1; group <= 5; group++) {
    const rotations = ROTATIONS[(group - 1) % 2];
    for (let i = 0; i < 4; i++) {
      x = (x + y) | 0;
      y = ((y << rotations[i]) | (y >>> (32 - rotations[i]))) ^ x;
    }
    [a, b, c] = [b, c, a];
    x = (x + a) | 0;
    y = (y + b + group) | 0;
  }
  return [x >>> 0, y >>> 0];
}

/** FNV-1a, 32 bits: turns the name of a stream into a word of its key. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** The key of the stream called `name` under `seed` (any integer up to 2⁵³). */
export function streamKey(seed: number, name: string): [number, number] {
  return threefry2x32(seed % 2 ** 32, Math.floor(seed / 2 ** 32), hash(name), 0);
}

/**
 * A stream of random numbers under a name, so that drawing more in one place changes nothing in another.
 *
 * @example
 * const order = new RandomStream(7, "shuffle").permutation(60000);
 */
export class RandomStream {
  readonly #key: [number, number];
  #count = 0;

  constructor(seed: number, name: string) {
    this.#key = streamKey(seed, name);
  }

  #next(): [number, number] {
    const i = this.#count++;
    return threefry2x32(this.#key[0], this.#key[1], i >>> 0, Math.floor(i / 2 ** 32));
  }

  /** A whole number in [0, 2³²). */
  uint32(): number {
    return this.#next()[0];
  }

  /** Uniform in [0, 1), with all 53 bits of a double. */
  uniform(): number {
    const [high, low] = this.#next();
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
  }

  /** Standard normal, by the Box–Muller transform. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A whole number in [0, n), without bias. */
  integer(n: number): number {
    for (;;) {
      const value = this.uint32();
      // Division and floor, exact here, take a tenth of the time that % does for numbers beyond 2³¹.
      const rest = value - Math.floor(value / n) * n;
      if (value - rest <= 2 ** 32 - n) return rest;
    }
  }

  /** The numbers 0 … n−1 in random order (Fisher–Yates). */
  permutation(n: number): Uint32Array {
    const order = new Uint32Array(n);
    for (let i = 0; i < n; i++) order[i] = i;
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const other = order[j];
      order[j] = order[i];
      order[i] = other;
    }
    return order;
  }
}
