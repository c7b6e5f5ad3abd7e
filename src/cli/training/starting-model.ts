/** `--from MODEL`: the model to go on from, and what follows from it for the run: its options, its name, a note. */
import { existsSync } from "node:fs";
import type { Loss, Model } from "../../index.ts";
import type { Taker, TrainingData } from "../data/sources.ts";
import { fingerprintOf, type Origin, readDetails } from "../model/metadata.ts";
import { chooseBackend } from "../options/backend.ts";
import type { TrainOptions } from "./run.ts";

/** A model to go on from, and what its file says of it. */
export interface Trained extends Taker {
  readonly model: Model;
  /** The loss it was trained with, if that has a name. */
  readonly loss?: Loss;
}

/** The model of `--from`; of a run that is resumed, as its checkpoint has it. */
export async function trainedModel(options: TrainOptions): Promise<Trained | undefined> {
  const { from, resume = from } = options;
  if (from === undefined || resume === undefined) return undefined;
  const { modelOfCheckpoint } = await import("../model/model-module.ts");
  const model = await modelOfCheckpoint(resume, await chooseBackend(options));
  const loss = typeof model.details.loss === "string" ? (model.trainedLoss() as Loss) : undefined;
  return { model, inputShape: model.inputShape, details: readDetails(model, resume), ...(loss && { loss }) };
}

/** A name for a model that goes on from another: one that is free, so that no generation is lost. */
export function continuedName(title: string): string {
  for (let i = 1; ; i++) {
    const name = `${title}-continued${i === 1 ? "" : `-${i}`}.safetensors`;
    if (!existsSync(name)) return name;
  }
}

/**
 * What the options are for a trained model unless they say otherwise: as they were, at a tenth of the learning rate, so
 * that what it has learnt is not undone. On the same rows the same ones are held out.
 */
export function asTrained({ model, details }: Trained, data: TrainingData, asked: TrainOptions): TrainOptions {
  const { optimizer, learningRate, origin } = details;
  const isSame = origin?.fingerprint === fingerprintOf(data.train);
  const keepsRate = asked.optimizer === undefined && learningRate !== undefined;
  return {
    seed: isSame ? origin.seed : model.network.seed,
    ...(optimizer !== undefined && { optimizer }),
    ...(keepsRate && { learningRate: learningRate / 10 }),
    ...(isSame && origin.validation > 0 && { validation: origin.validation }),
    ...(isSame && !data.test && { test: String(origin.test) }),
  };
}

/** A note, if the model to go on from has learnt from rows that are now held out. */
export function notesOnRows(now: Origin, before: Origin | undefined): string[] {
  const isKnown = before?.fingerprint === now.fingerprint && (before.seed !== now.seed || before.test < now.test);
  return isKnown && now.test > 0
    ? ["the model has learnt from some of the rows now held out, so its test scores are too good"]
    : [];
}
