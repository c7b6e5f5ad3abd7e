/** Numbers for people: so many significant digits, a true minus sign, no trailing zeros. */

/**
 * Writes a number with `digits` significant digits.
 *
 * @example
 * showNumber(-0.0941494123); // "−0.0941494"
 */
export function showNumber(value: number, digits = 6): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const plain = Number.isInteger(value) && size < 10 ** Math.max(digits, 6);
  const useExponent = !plain && (size >= 10 ** Math.max(digits, 6) || size < 1e-4);
  const text = plain ? String(size) : useExponent ? exponential(size, digits) : trimmed(size.toPrecision(digits));
  return value < 0 ? `−${text}` : text;
}

/** The parts of a number in scientific notation, for typeset output; no exponent where plain digits do. */
export function scientific(value: number, digits = 6): { mantissa: string; exponent: number | undefined } {
  const text = showNumber(value, digits);
  const [mantissa, exponent] = text.split("e");
  return { mantissa, exponent: exponent === undefined ? undefined : Number(exponent.replace("−", "-")) };
}

const trimmed = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

function exponential(size: number, digits: number): string {
  const [mantissa, exponent] = size.toExponential(digits - 1).split("e");
  return `${trimmed(mantissa)}e${exponent.replace("+", "").replace("-", "−")}`;
}
