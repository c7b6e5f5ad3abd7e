/** The settings of one Keras layer, each read as what it must be; what is wrong or cannot be done is said with the layer's name. */
import { isObject, show } from "../../checks.ts";
import { DataError } from "../../errors.ts";
import type { KerasLayer } from "./config.ts";

export class Settings {
  readonly layer: KerasLayer;

  constructor(layer: KerasLayer) {
    this.layer = layer;
  }

  get #who(): string {
    return `Layer ${show(this.layer.name)} (${this.layer.className})`;
  }

  /** The error for what a layer has and this library has not. */
  unsupported(what: string): DataError {
    const { name, className } = this.layer;
    return new DataError(
      `${this.#who} ${what}.`,
      {},
      { code: "unknown-operator", facts: { layer: name, operator: className } },
    );
  }

  #wrong(key: string, wanted: string): DataError {
    return new DataError(
      `${this.#who}: ${key} should be ${wanted}; ${show(this.value(key))} came. Save the model again.`,
      {},
      { facts: { layer: this.layer.name } },
    );
  }

  /** A setting as it stands; null is none. */
  value(key: string): unknown {
    const { config } = this.layer;
    return Object.hasOwn(config, key) ? (config[key] ?? undefined) : undefined;
  }

  #read<T>(key: string, usual: T | undefined, wanted: string, fits: (x: unknown) => x is T): T {
    const value = this.value(key) ?? usual;
    if (fits(value)) return value;
    throw this.#wrong(key, wanted);
  }

  number(key: string, usual?: number): number {
    return this.#read(key, usual, "a number", (x): x is number => typeof x === "number");
  }

  whole(key: string, usual?: number): number {
    return this.#read(key, usual, "a whole number", (x): x is number => Number.isSafeInteger(x));
  }

  flag(key: string, usual: boolean): boolean {
    return this.#read(key, usual, "true or false", (x): x is boolean => typeof x === "boolean");
  }

  text(key: string, usual?: string): string {
    return this.#read(key, usual, "a text", (x): x is string => typeof x === "string");
  }

  /** So many whole numbers; one alone is for all of them. */
  sizes(key: string, count: number, usual?: number): number[] {
    const value = this.value(key) ?? usual;
    const list = typeof value === "number" ? Array.from({ length: count }, () => value) : value;
    if (Array.isArray(list) && list.length === count && list.every(Number.isSafeInteger)) return list;
    throw this.#wrong(key, count === 1 ? "a whole number" : `${count} whole numbers`);
  }

  /** Whole numbers, however many. */
  list(key: string, usual?: readonly number[]): readonly number[] {
    const value = this.value(key) ?? usual;
    const list = typeof value === "number" ? [value] : value;
    if (Array.isArray(list) && list.every(Number.isSafeInteger)) return list;
    throw this.#wrong(key, "whole numbers");
  }

  /** Two numbers for each of some axes: [before, after]. */
  pairs(key: string, axes: number, usual: number): [number, number][] {
    const value = this.value(key) ?? usual;
    const list = typeof value === "number" ? Array.from({ length: axes }, () => value) : value;
    const spread = axes === 1 && Array.isArray(list) && list.length === 2 ? [list] : list;
    if (Array.isArray(spread) && spread.length === axes) {
      const pairs = spread.map((each) => (typeof each === "number" ? [each, each] : each));
      if (pairs.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(Number.isSafeInteger)))
        return pairs as [number, number][];
    }
    throw this.#wrong(key, "numbers before and after");
  }

  /** Throws unless a setting is one of those that can be done. */
  only(key: string, ...allowed: readonly unknown[]): void {
    const value = this.value(key);
    if (value !== undefined && !allowed.includes(value))
      throw this.unsupported(`has ${key} ${show(value)}, which is not known here; ${allowed.map(show).join(", ")} is`);
  }

  /** λ of a penalty on the kernel, as our layers take them. */
  penalties(): { l1?: number; l2?: number } {
    const given = this.value("kernel_regularizer");
    const { l1, l2 } = (isObject(given) && isObject(given.config) ? given.config : {}) as Record<string, unknown>;
    const own = (lambda: unknown): lambda is number => typeof lambda === "number" && lambda > 0;
    return { ...(own(l1) && { l1 }), ...(own(l2) && { l2 }) };
  }
}
