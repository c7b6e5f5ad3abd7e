/** The library's messages in the words of the command: an option of a function is an option of the command line here. */
import { ChainruleError } from "../../errors.ts";
import { inWords, type Message, type Term } from "../../wording.ts";

/** How the command writes what the library names; what is not here is written alike in both. */
const OPTIONS: Readonly<Record<string, (value: string | number | boolean | undefined) => string>> = {
  missing: (policy) => `--missing ${policy}`,
  decimal: (mark) => `--decimal ${mark}`,
  encoding: (name) => `--encoding ${name}`,
  header: () => "--no-header",
  size: (size) => `--image-size ${size}`,
  validation: (fraction) => `--validation ${fraction}`,
  task: (task) => `--task ${task}`,
  ignore: () => "--ignore NAME",
  columns: (kind) => `--columns "NAME ${kind}"`,
  init: (name) => `init=${name}`,
  globalClipNorm: (norm) => `--optimizer "adam globalClipNorm=${norm}"`,
  cache: (directory) => `--cache ${directory}`,
  classify: () => "predict",
  findLearningRate: () => "--learning-rate",
};

const written = ({ option, value }: Term): string =>
  Object.hasOwn(OPTIONS, option) ? OPTIONS[option](value) : value === undefined ? option : `${option}=${value}`;

/** A message as the command says it. */
export const inCommandWords = (said: Message): string => inWords(said, written);

/** What an error says, as the command says it. */
export const errorText = (error: Error): string =>
  error instanceof ChainruleError ? inCommandWords(error.said) : error.message;
