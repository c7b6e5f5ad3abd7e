/** Names that may carry one number in brackets, so that a configuration stays a string: `leakyRelu(0.2)`. */

const CALL = /^(\w+)\((-?\d+(?:\.\d+)?(?:e-?\d+)?)\)$/;

/** `random(0.02)` → name `random`, parameter 0.02; anything else is all name. */
export function parseCall(text: string): { name: string; parameter?: number } {
  const [, name, parameter] = CALL.exec(text) ?? [];
  return name === undefined ? { name: text } : { name, parameter: Number(parameter) };
}
