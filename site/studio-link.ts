/**
 * A program that trains layers of the studio's cards on one of its data sets is a run of the studio: here it is read out of
 * the program's text. Programs of any other kind have no link.
 */
import { isSpec } from "../studio/src/lab/check-spec.ts";
import { LAYER_CARDS } from "../studio/src/lab/layer-kinds.ts";
import { FIRST, type LayerSpec, type Spec, TOYS, type ToyName } from "../studio/src/lab/spec.ts";

/** Calls the makers of layers with what they take by place and as options, and gives cards. */
const MAKERS: Readonly<Record<string, (...given: unknown[]) => LayerSpec>> = Object.fromEntries(
  Object.entries(LAYER_CARDS).map(([kind, { placed, fields }]) => [
    kind,
    (...given) => {
      const named = Object.fromEntries(placed.map((name, i) => [name, given[i]]));
      const config = { ...named, ...(given[placed.length] as object | undefined) } as Record<string, string>;
      // The library's default; a new card has another.
      if (kind !== "activation" && fields.some(({ name }) => name === "activation")) config.activation ??= "linear";
      return { kind, config };
    },
  ]),
);

/** The value of an expression in which makers may be called; our own documents' text, at build time. */
function evaluated(expression: string, names: Readonly<Record<string, unknown>>): unknown {
  try {
    return new Function(...Object.keys(names), `return (${expression});`)(...Object.values(names));
  } catch {
    return undefined;
  }
}

const first = (pattern: RegExp, code: string): string | undefined => pattern.exec(code)?.[1];

/** The address of the run within the site; none where the studio cannot run it. */
export function studioLink(code: string): string | undefined {
  const toys = Object.keys(TOYS).filter((name) => new RegExp(`\\b${name}\\(`).test(code));
  const networks = [...code.matchAll(/sequential\(\s*(\{[^}]*\}),\s*(\[[\s\S]*?\n?\])\s*\);/g)];
  if (toys.length !== 1 || networks.length !== 1 || !code.includes(".fit(")) return undefined;
  const [name] = toys as [ToyName];
  const scale = { kind: "scale" };
  const layers = evaluated(networks[0][2], {
    ...MAKERS,
    normalize: () => scale,
    statistics: () => undefined,
    train: undefined,
    data: undefined,
  }) as LayerSpec[] | undefined;
  const network = evaluated(networks[0][1], {}) as { seed?: number } | undefined;
  const [, optimizer, given] = /optimizer: (\w+)\((\{[^}]*\})?\)/.exec(code) ?? [];
  if (layers?.at(-1)?.kind !== "dense") return undefined;
  const options = evaluated(first(new RegExp(`\\b${name}\\((\\{[^}]*\\})\\)`), code) ?? "{}", {}) as object | undefined;
  const held = evaluated(first(/split\([\s\S]*?(\[[\d., ]+\])/, code) ?? "[1]", {}) as number[];
  const spec: Spec = {
    ...FIRST,
    data: { ...TOYS[name].data, ...options } as Spec["data"],
    heldOut: held.length > 1 ? held[1] : 0,
    // The studio scales and ends networks itself.
    layers: layers.filter((layer) => layer !== scale).slice(0, -1),
    optimizer: { name: "adam", learningRate: 0.001, weightDecay: 0, ...optimizerOf(optimizer, given) },
    batchSize: Number(first(/batchSize: (\d+)/, code) ?? 32),
    seed: network?.seed ?? FIRST.seed,
  };
  return isSpec(spec) ? `${SITE}studio/#run=${encodeURIComponent(JSON.stringify(spec))}` : undefined;
}

/** Where the site lies on its host. */
export const SITE = process.env.SITE_BASE ?? "/";

const optimizerOf = (name: string | undefined, given: string | undefined): object =>
  name === undefined ? {} : { name, ...(evaluated(given ?? "{}", {}) as object | undefined) };
