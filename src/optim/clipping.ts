/** Clipping: keeps gradients from growing too large, before the optimiser's rule sees them. */
import { ABOVE_0, checkNumbers } from "../checks.ts";
import type { Node } from "../graph/node.ts";
import { add, div, maximum, minimum, mul, sqrt, sum } from "../ops/index.ts";

/** Bounds for gradients, which all optimisers take; none unless said. */
export interface ClippingOptions {
  /** Keeps every element within −value and value. */
  readonly clipValue?: number;
  /** Scales each parameter's gradient down to this Euclidean norm, if it is longer. */
  readonly clipNorm?: number;
  /** Scales all gradients together down to this Euclidean norm (Pascanu, Mikolov & Bengio, 2013). */
  readonly globalClipNorm?: number;
}

/** Σ g² */
const squares = (g: Node): Node => sum(mul(g, g));

/** min(1, limit / (‖g‖ + 1e-6)), of the squared norm: PyTorch's form. */
const shrinking = (squaredNorm: Node, limit: number): Node => minimum(1, div(limit, add(sqrt(squaredNorm), 1e-6)));

/** Clips by value, then each norm, then the global norm: as far as asked. */
export function clipGradients(
  optimizer: string,
  gradients: readonly Node[],
  { clipValue, clipNorm, globalClipNorm }: ClippingOptions,
): readonly Node[] {
  for (const [name, limit] of Object.entries({ clipValue, clipNorm, globalClipNorm })) {
    if (limit !== undefined) checkNumbers(`${optimizer}: `, { [name]: limit }, ABOVE_0);
  }
  let clipped = gradients;
  if (clipValue !== undefined) clipped = clipped.map((g) => minimum(maximum(g, -clipValue), clipValue));
  if (clipNorm !== undefined) clipped = clipped.map((g) => mul(g, shrinking(squares(g), clipNorm)));
  if (globalClipNorm !== undefined && clipped.length > 0) {
    const scale = shrinking(
      clipped.map(squares).reduce((a, b) => add(a, b)),
      globalClipNorm,
    );
    clipped = clipped.map((g) => mul(g, scale));
  }
  return clipped;
}
