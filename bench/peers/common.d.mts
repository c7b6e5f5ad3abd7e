/** Types of common.mjs for the one runner written in TypeScript. */
export interface Job {
  workload: string;
  threads: number;
  seconds: number;
}
export interface Spec {
  name: string;
  input: number[];
  layers?: [kind: string, ...numbers: number[]][];
  batch: number;
  /** The places of a sequence, each of which counts. */
  places?: number;
  gpt?: { vocabulary: number; width: number; heads: number; blocks: number };
  mode?: "inference";
  matmul?: number;
}
export const job: Job;
export function start(peer: string, version: string): Spec;
export function dataset(spec: Spec): { x: Float32Array; y: Int32Array }[];
export function report(fields: Record<string, unknown>): void;
export function skip(reason: string): never;
export function fail(reason: string): never;
export function learned(losses: number[]): { lossFirst: number; lossLast: number };
export function clock(run: (n: number) => unknown): Promise<number>;
export function measure(
  spec: Spec,
  work: {
    step: (i: number) => unknown;
    loss?: (i: number) => number | Promise<number>;
    run?: (n: number) => unknown;
  },
): Promise<void>;
