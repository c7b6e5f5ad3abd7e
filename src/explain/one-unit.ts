/**
 * One unit of a layer for one sample: every named number on the way from the layer's input to its output, and back.
 * A weighted sum is told term by term: ∂z/∂w is what a weight is multiplied by, for dense layers and convolutions alike,
 * and Σ w · ∂z/∂w is z itself.
 */
import { isConstant } from "../graph/leaf.ts";
import type { AnyArray } from "../graph/op.ts";
import { broadcastsTo } from "../graph/shape.ts";
import type { ChainOptions, Chains } from "./chain-rule.ts";
import { withIndex } from "./describe-array.ts";
import type { Contribution, Element, Factor, InputShare, UnitStep } from "./description.ts";
import { broadcastPlace, flatOf, indexOf } from "./element-index.ts";
import { diagonalFormulas } from "./elementwise-derivative.ts";
import { partial, value } from "./formula/formula.ts";
import { formulaOf } from "./formula/from-graph.ts";
import type { Jacobians } from "./jacobian.ts";
import type { Stop } from "./named-arrays.ts";
import type { Opened } from "./opened-step.ts";

export function explainUnitStep(
  opened: Opened,
  jacobians: Jacobians,
  chains: Chains,
  stop: Stop,
  index: readonly number[],
  options: ChainOptions,
): UnitStep {
  const flat = flatOf(stop.node.shape, index);
  const element = chains.elementOf(stop, flat);
  return {
    element,
    formula: formulaOf(stop.node, opened.bind),
    ...numbersOf(opened, jacobians, stop, flat),
    ...(weightedSum(jacobians, chains, stop, flat, element, options.terms) ?? shares(jacobians, chains, stop, flat)),
    derivatives: derivatives(opened, jacobians, stop, flat),
    gradient: chains.sumOf(stop, flat, options),
  };
}

/** The stop's formula with the numbers of one element, if it goes element by element all the way. */
function numbersOf(opened: Opened, jacobians: Jacobians, stop: Stop, flat: number): Pick<UnitStep, "numbers"> {
  const { result, leaves } = jacobians.cut(stop);
  const stops = new Map([...leaves].map(([from, leaf]) => [leaf, from]));
  let elementwise = result.op.meaning.kind === "elementwise";
  const numbers = formulaOf(result, (node) => {
    const from = stops.get(node);
    if (!from) {
      if (node.op.meaning.kind !== "elementwise" && !isConstant(node)) elementwise = false;
      return undefined;
    }
    if (!broadcastsTo(from.node.shape, result.shape)) {
      elementwise = false;
      return undefined;
    }
    return value(opened.values.get(from.node)[broadcastPlace(from.node.shape, result.shape, flat)]);
  });
  return elementwise ? { numbers } : {};
}

/** z = Σ w · ∂z/∂w over all weights, where that holds; nothing for what is not such a sum. */
function weightedSum(
  jacobians: Jacobians,
  chains: Chains,
  stop: Stop,
  flat: number,
  { value }: Element,
  terms: number,
): Pick<UnitStep, "contributions" | "rest" | "patch"> | undefined {
  const leaves = [...jacobians.cut(stop).leaves.keys()];
  const parameters = leaves.filter(({ role, node }) => role === "parameter" && node.dtype === "float");
  if (parameters.length === 0) return undefined;
  const parts: { parameter: Stop; place: number; factor: number; product: number }[] = [];
  let sum = 0;
  const factorsOf = new Map<Stop, AnyArray>();
  for (const parameter of parameters) {
    const factors = jacobians.row(stop, flat, parameter);
    factorsOf.set(parameter, factors);
    for (const [place, factor] of factors.entries()) {
      if (factor === 0) continue;
      const product = factor * chains.elementOf(parameter, place).value;
      sum += product;
      parts.push({ parameter, place, factor, product });
    }
  }
  if (Math.abs(sum - value) > 1e-9 * Math.max(1, Math.abs(value))) return undefined;
  parts.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  const contributions = parts.slice(0, terms).map(({ parameter, place, factor, product }): Contribution => {
    const input = inputOf(jacobians, chains, stop, parameter, flat, place);
    return { weight: chains.elementOf(parameter, place), factor, ...(input && { input }), product };
  });
  const rest = parts.slice(terms);
  return {
    contributions,
    rest: { count: rest.length, sum: rest.reduce((s, { product }) => s + product, 0) },
    ...patchOf(chains, stop, flat, factorsOf),
  };
}

/** The element of the layer's input that a matrix's weight is multiplied by: row i of W goes with x[i]. */
function inputOf(
  jacobians: Jacobians,
  chains: Chains,
  stop: Stop,
  parameter: Stop,
  flat: number,
  place: number,
): Element | undefined {
  const input = soleInput(jacobians, stop);
  const [shape, weights] = [input?.node.shape, parameter.node.shape];
  if (!input || shape?.length !== 2 || weights.length !== 2 || shape[1] !== weights[0]) return undefined;
  const [sample] = indexOf(stop.node.shape, flat);
  return chains.elementOf(input, flatOf(shape, [sample, indexOf(weights, place)[0]]));
}

const soleInput = (jacobians: Jacobians, stop: Stop): Stop | undefined => {
  const inputs = [...jacobians.cut(stop).leaves.keys()].filter(({ role }) => role !== "parameter");
  return inputs.length === 1 ? inputs[0] : undefined;
};

/** The window and the filter of a convolution: kernel [KH, KW, I, O], images [B, H, W, O]. */
function patchOf(
  chains: Chains,
  stop: Stop,
  flat: number,
  factorsOf: ReadonlyMap<Stop, AnyArray>,
): Pick<UnitStep, "patch"> {
  const kernel = [...factorsOf.keys()].find(({ node }) => node.shape.length === 4);
  if (!kernel || stop.node.shape.length !== 4) return {};
  const { shape } = kernel.node;
  const filter = indexOf(stop.node.shape, flat)[3];
  const places = Array.from({ length: shape[0] * shape[1] * shape[2] }, (_, i) => i * shape[3] + filter);
  const factors = factorsOf.get(kernel)!;
  return {
    patch: {
      shape: shape.slice(0, 3),
      input: places.map((place) => factors[place]),
      filter: places.map((place) => chains.elementOf(kernel, place).value),
    },
  };
}

/** The elements of the input that an element without weights depends on, such as the winner of a maximum. */
function shares(jacobians: Jacobians, chains: Chains, stop: Stop, flat: number): Pick<UnitStep, "shares"> {
  const input = soleInput(jacobians, stop);
  if (input?.node.dtype !== "float" || jacobians.isDiagonal(stop, input)) return {};
  const found: InputShare[] = [];
  for (const [place, derivative] of jacobians.row(stop, flat, input).entries()) {
    if (derivative !== 0) found.push({ input: chains.elementOf(input, place), derivative });
  }
  return found.length > 0 && found.length <= 64 ? { shares: found } : {};
}

/** The derivatives of the element with respect to what it is made from, one element by one. */
function derivatives(opened: Opened, jacobians: Jacobians, stop: Stop, flat: number): Factor[] {
  return [...jacobians.cut(stop).leaves.keys()]
    .filter((from) => from.role !== "parameter" && from.node.dtype === "float" && jacobians.isDiagonal(stop, from))
    .map((from) => {
      const at = indexOf(stop.node.shape, flat);
      return {
        symbol: partial(withIndex(stop.symbol, at), withIndex(from.symbol, at)),
        value: jacobians.diagonal(stop, from)[flat],
        ...diagonalFormulas(opened, jacobians, stop, from, flat),
      };
    });
}
