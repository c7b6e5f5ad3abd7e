/** Numbers as the page writes them: four significant digits, a true minus sign; all digits on hover. */
import { showNumber } from "chainrule/explain";

export const short = (value: number): string => showNumber(value, 4);
export const whole = (value: number): string => Math.round(value).toLocaleString("en-US");

/** 1,240,000 → 1.24 M. */
export function rate(perSecond: number): string {
  if (!(perSecond > 0)) return "–";
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(2)} M`;
  return perSecond >= 1e4 ? `${Math.round(perSecond / 1e3)} k` : whole(perSecond);
}

export const signOf = (value: number): string => (value > 0 ? "positive" : value < 0 ? "negative" : "");
