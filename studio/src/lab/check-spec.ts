/** Whether something that comes from a link is a spec: its form and its limits, so that no link can harm. */
import { isCard, LAYER_CARDS, OPTIMIZERS } from "./layer-kinds.ts";
import { isSchedule } from "./schedule-kinds.ts";
import { type LayerSpec, type ScheduleSpec, type Spec, TOYS } from "./spec.ts";

const isRecord = (x: unknown): x is Record<string, unknown> => typeof x === "object" && x !== null && !Array.isArray(x);
const within = (x: unknown, low: number, high: number): boolean => typeof x === "number" && x >= low && x <= high;
const isText = (x: unknown): x is string => typeof x === "string" && x.length < 300;

/** Rows of as many numbers each. */
const isNumbers = (x: unknown): boolean =>
  Array.isArray(x) &&
  within(x.length, 1, 1000) &&
  x.every((row) => Array.isArray(row) && row.length === x[0].length && row.length > 0 && isListed(row));
const isListed = (x: unknown): boolean =>
  Array.isArray(x) && x.length <= 10_000 && x.every((n) => within(n, -1e6, 1e6));

function isData(x: unknown): boolean {
  if (!isRecord(x)) return false;
  switch (x.kind) {
    case "toy":
      return (
        isText(x.name) &&
        Object.hasOwn(TOYS, x.name) &&
        within(x.count, 2, 20_000) &&
        within(x.noise, 0, 5) &&
        within(x.seed, 0, 2 ** 31)
      );
    case "digits":
      return true;
    case "file":
      return isText(x.name) && (x.target === undefined || isText(x.target));
    case "rows":
      return (
        isText(x.title) &&
        isNumbers(x.x) &&
        Array.isArray(x.y) &&
        x.y.length === (x.x as unknown[]).length &&
        (isNumbers(x.y) || x.y.every((label) => Number.isInteger(label) && within(label, 0, 100)))
      );
    case "drawn":
      return (
        Array.isArray(x.points) &&
        x.points.length <= 5000 &&
        x.points.every((p) => Array.isArray(p) && p.length === 3 && p.every((n) => within(n, -1e6, 1e6)))
      );
    default:
      return false;
  }
}

const isLayer = (x: unknown): boolean =>
  isRecord(x) &&
  isText(x.kind) &&
  Object.hasOwn(LAYER_CARDS, x.kind) &&
  isRecord(x.config) &&
  isCard(x as unknown as LayerSpec);

export function isSpec(x: unknown): x is Spec {
  if (!isRecord(x)) return false;
  const { data, heldOut, layers, start, loss, optimizer, batchSize, seed } = x;
  return (
    isData(data) &&
    within(heldOut, 0, 0.9) &&
    Array.isArray(layers) &&
    layers.length <= 40 &&
    layers.every(isLayer) &&
    (start === undefined || isText(start)) &&
    (loss === undefined || isText(loss)) &&
    (x.weights === undefined || (isRecord(x.weights) && Object.values(x.weights).every(isListed))) &&
    isRecord(optimizer) &&
    OPTIMIZERS.includes(String(optimizer.name)) &&
    within(optimizer.learningRate, 1e-12, 1e6) &&
    within(optimizer.weightDecay, 0, 100) &&
    (optimizer.schedule === undefined ||
      (isRecord(optimizer.schedule) &&
        isRecord(optimizer.schedule.settings) &&
        isSchedule(optimizer.schedule as unknown as ScheduleSpec))) &&
    within(batchSize, 1, 1e6) &&
    within(seed, 0, 2 ** 31)
  );
}
