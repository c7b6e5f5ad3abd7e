/**
 * What each op's file says of its ops: words for the explainer, cases for the tests. Computing needs neither, so only they
 * import this module, and a page that does not explain does not load it.
 */
import type { Case, Explanation, Op } from "../graph/op.ts";
import activations from "./activations.ts";
import arithmetic from "./arithmetic.ts";
import broadcast from "./broadcast.ts";
import conv from "./conv.ts";
import flush from "./flush.ts";
import functions from "./functions.ts";
import gather from "./gather.ts";
import matmul from "./matmul.ts";
import part from "./part.ts";
import pool from "./pool.ts";
import random from "./random.ts";
import reduce from "./reduce.ts";
import rounding from "./rounding.ts";
import scan from "./scan.ts";
import shape from "./shape.ts";
import softmax from "./softmax.ts";
import trigonometry from "./trigonometry.ts";

const FILES = [
  activations,
  arithmetic,
  broadcast,
  conv,
  flush,
  functions,
  gather,
  matmul,
  part,
  pool,
  random,
  reduce,
  rounding,
  scan,
  shape,
  softmax,
  trigonometry,
];

/** By the names of ops. */
export const ABOUT = new Map(FILES.flatMap((about) => Object.entries(about())));

/** The op in words: its own, as users' ops carry them, or those of its file. */
export const explanationOf = (op: Op): Explanation | undefined => op.explain ?? ABOUT.get(op.name)?.explain;

/** What the op is tried with. */
export const casesOf = (op: Op): readonly Case[] => ABOUT.get(op.name)?.cases ?? [];
