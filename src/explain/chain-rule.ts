/**
 * The chain rule for single elements: ∂L/∂v as the sum over all paths that lead from v to the loss, each a product of
 * factors with their numbers. The factors come from the Jacobians between named arrays, the gradients from the backward
 * pass that trains; that the two agree is what makes the explanation one.
 */
import { element as describeElement, withIndex } from "./describe-array.ts";
import type { ChainSum, ChainTerm, Element, Factor } from "./description.ts";
import { numbersAt } from "./element-formula.ts";
import { indexOf } from "./element-index.ts";
import { diagonalFormulas } from "./elementwise-derivative.ts";
import { number, partial, symbol } from "./formula/formula.ts";
import { formulaOf } from "./formula/from-graph.ts";
import type { Jacobians } from "./jacobian.ts";
import type { Stop } from "./named-arrays.ts";
import type { Opened } from "./opened-step.ts";

export interface ChainOptions {
  /** How many terms to list of each sum, the largest first; the rest are summed up. */
  readonly terms: number;
  /** How many sums to follow back towards the loss, beyond the first. */
  readonly follow: number;
}

const L = symbol("L");

export class Chains {
  readonly #opened: Opened;
  readonly #jacobians: Jacobians;

  constructor(opened: Opened, jacobians: Jacobians) {
    this.#opened = opened;
    this.#jacobians = jacobians;
  }

  elementOf(stop: Stop, flat: number): Element {
    const value = this.#opened.values.get(stop.node)[flat];
    return describeElement(stop.name, stop.symbol, indexOf(stop.node.shape, flat), value);
  }

  /** ∂L/∂stop[flat] as the backward pass has it. */
  gradientOf(stop: Stop, flat: number): number {
    if (stop.role === "loss") return 1;
    return this.#opened.values.get(this.#opened.gradient(stop.node))[flat];
  }

  /** ∂L/∂stop[flat] as a sum over the paths to the loss. */
  sumOf(stop: Stop, flat: number, options: ChainOptions): ChainSum {
    const paths: { use: Stop; place: number; local: number; product: number }[] = [];
    let total = 0;
    const shares = new Array<number>(this.#opened.batchSize).fill(0);
    let haveRows = true;
    for (const use of this.#jacobians.usesOf(stop)) {
      if (use.node.dtype !== "float") continue;
      const perRow = this.#perRow(use);
      haveRows &&= perRow !== undefined;
      for (const [place, local] of this.#jacobians.column(use, stop, flat).entries()) {
        if (local === 0) continue;
        const product = local * this.gradientOf(use, place);
        total += product;
        if (perRow !== undefined) shares[Math.floor(place / perRow)] += product;
        paths.push({ use, place, local, product });
      }
    }
    paths.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
    const listed = paths.slice(0, options.terms);
    const terms = listed.map(({ use, place, local, product }) =>
      this.#term(stop, flat, use, place, local, product, options),
    );
    const sum = paths.slice(options.terms).reduce((s, { product }) => s + product, 0);
    return {
      of: this.elementOf(stop, flat),
      gradient: this.gradientOf(stop, flat),
      ...this.#backwardFormula(stop, flat),
      terms,
      rest: { count: paths.length - listed.length, sum },
      ...(haveRows && { shares }),
      total,
    };
  }

  /** How many elements each row of the batch has in an array; none where its first axis is not that of the rows. */
  #perRow({ node, role }: Stop): number | undefined {
    const { batchSize } = this.#opened;
    if (role !== "result" || node.shape.length === 0 || node.shape[0] !== batchSize) return undefined;
    return node.shape.reduce((a, b) => a * b, 1) / batchSize;
  }

  /** How the backward pass made ∂L/∂stop[flat]. */
  #backwardFormula(stop: Stop, flat: number): Pick<ChainSum, "formula" | "numbers"> {
    if (stop.role === "loss") return { formula: number(1) };
    const node = this.#opened.gradient(stop.node);
    const own = JSON.stringify(partial(L, stop.symbol));
    const named = this.#opened.bind(node);
    const formula = named && JSON.stringify(named) !== own ? named : formulaOf(node, this.#opened.bind);
    const numbers = numbersAt(this.#opened.values, node, flat, this.#opened.bind);
    return { formula, ...(numbers && { numbers }) };
  }

  #term(
    stop: Stop,
    flat: number,
    use: Stop,
    place: number,
    local: number,
    product: number,
    options: ChainOptions,
  ): ChainTerm {
    const index = indexOf(use.node.shape, place);
    // Backwards through what goes element by element, such as an activation: each is one more factor.
    const last = this.#localFactor(use, place, stop, flat, local);
    const factors: Factor[] = use.role === "loss" ? [last] : [last];
    let at = use;
    for (;;) {
      const next = this.#onlyDiagonalUse(at);
      if (!next) break;
      factors.unshift(this.#localFactor(next, place, at, place, this.#jacobians.diagonal(next, at)[place]));
      at = next;
    }
    if (at.role !== "loss") {
      const by = withIndex(at.symbol, indexOf(at.node.shape, place));
      factors.unshift({ symbol: partial(L, by), value: this.gradientOf(at, place) });
    }
    return {
      ...(this.#perRow(use) !== undefined && { sample: index[0] }),
      through: this.elementOf(use, place),
      factors,
      product,
      ...(options.follow > 0 &&
        at.role !== "loss" && { origin: this.sumOf(at, place, { ...options, follow: options.follow - 1 }) }),
    };
  }

  /** The stop that alone uses this one, if it does so element by element. */
  #onlyDiagonalUse(stop: Stop): Stop | undefined {
    const uses = this.#jacobians.usesOf(stop);
    if (uses.length !== 1 || uses[0].role !== "result") return undefined;
    return this.#jacobians.isDiagonal(uses[0], stop) ? uses[0] : undefined;
  }

  /** ∂of/∂by for one element each, with its formula if it goes element by element. */
  #localFactor(of: Stop, place: number, by: Stop, flat: number, value: number): Factor {
    return {
      symbol: partial(
        withIndex(of.symbol, indexOf(of.node.shape, place)),
        withIndex(by.symbol, indexOf(by.node.shape, flat)),
      ),
      value,
      ...diagonalFormulas(this.#opened, this.#jacobians, of, by, place),
    };
  }
}
