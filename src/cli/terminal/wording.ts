/**
 * The library's messages in the words of the command: what is an option of a function there is an option of the command
 * line here. Messages that hold none of these words come back as they are.
 */

const WORDS: readonly (readonly [RegExp, string])[] = [
  [
    /use missing: "mean" \(fill in\) or "drop" \(leave rows out\) in training/,
    "train with --missing mean (fills in the column's mean) or --missing drop (leaves the row out)",
  ],
  [/(?<!--)missing: "(mean|drop|error)"/g, "--missing $1"],
  [/read them with readCsv and decimal: "comma"/, "give --decimal comma to read them as such"],
  [/(?<!--)task: "(classification|regression)"/g, "--task $1"],
  [/\(ignore\), or raise maxCategories/, "(--ignore NAME)"],
  [/\(ignore\)/g, "(--ignore NAME)"],
  [/correct it, or declare the column "categorical"/, "correct it, or leave the column out (--ignore NAME)"],
  [/\(globalClipNorm: 1\)/, '(--optimizer "adam globalClipNorm=1")'],
  [/init "(\w+)"/g, "init=$1"],
  [/classify\(\) gives probabilities/, "predict gives probabilities"],
  [/ \(findLearningRate\)/, " (--learning-rate)"],
  [/the rows of x and y belong together/, "inputs and targets belong together"],
];

export const inCommandWords = (message: string): string =>
  WORDS.reduce((text, [from, to]) => text.replace(from, to), message);
