/**
 * Numbers of 8, 4 and 2 bits that no typed array holds: floats (Micikevicius et al., 2022, and the OCP's microscaling
 * formats) and whole numbers that share a byte, the first in its lowest bits.
 */
import type { ElementType } from "./format.ts";

interface SmallType {
  readonly bits: number;
  /** The value of each pattern of bits. */
  value(pattern: number): number;
}

/** Floats with a sign, `exponent` bits and `fraction` bits; `special` says what patterns stand for no finite number. */
function float(
  exponent: number,
  fraction: number,
  bias: number,
  special: (magnitude: number, isNegative: boolean) => number | undefined,
): SmallType {
  const bits = 1 + exponent + fraction;
  return {
    bits,
    value: (pattern) => {
      const magnitude = pattern % 2 ** (bits - 1);
      const sign = pattern >= 2 ** (bits - 1) ? -1 : 1;
      const other = special(magnitude, sign < 0);
      if (other !== undefined) return sign * other;
      const e = magnitude >> fraction;
      const f = magnitude % 2 ** fraction;
      return sign * (e === 0 ? f * 2 ** (1 - bias - fraction) : (2 ** fraction + f) * 2 ** (e - bias - fraction));
    },
  };
}

/** Only the pattern of −0 is no number. */
const unsignedZero = (magnitude: number, isNegative: boolean) =>
  isNegative && magnitude === 0 ? Number.NaN : undefined;

const whole = (bits: number, isSigned: boolean): SmallType => ({
  bits,
  value: (pattern) => (isSigned && pattern >= 2 ** (bits - 1) ? pattern - 2 ** bits : pattern),
});

const SMALL_TYPES: Partial<Record<ElementType, SmallType>> = {
  float8e4m3fn: float(4, 3, 7, (magnitude) => (magnitude === 0x7f ? Number.NaN : undefined)),
  float8e4m3fnuz: float(4, 3, 8, unsignedZero),
  float8e5m2: float(5, 2, 15, (magnitude) => {
    if (magnitude < 0x7c) return undefined;
    return magnitude === 0x7c ? Number.POSITIVE_INFINITY : Number.NaN;
  }),
  float8e5m2fnuz: float(5, 2, 16, unsignedZero),
  float8e8m0: { bits: 8, value: (pattern) => (pattern === 255 ? Number.NaN : 2 ** (pattern - 127)) },
  float4e2m1: float(2, 1, 1, () => undefined),
  uint4: whole(4, false),
  int4: whole(4, true),
  uint2: whole(2, false),
  int2: whole(2, true),
};

/** How many bytes so many elements take; undefined for types that are not small. */
export function smallSize(type: ElementType, count: number): number | undefined {
  const small = SMALL_TYPES[type];
  return small && Math.ceil((count * small.bits) / 8);
}

/** The elements in `bytes`, which are as many as they need. */
export function smallElements(bytes: Uint8Array, type: ElementType, count: number): Float64Array {
  const { bits, value } = SMALL_TYPES[type]!;
  const values = Array.from({ length: 2 ** bits }, (_, pattern) => value(pattern));
  const perByte = 8 / bits;
  return Float64Array.from({ length: count }, (_, i) => {
    const byte = bytes[Math.floor(i / perByte)];
    return values[(byte >> ((i % perByte) * bits)) % 2 ** bits];
  });
}
