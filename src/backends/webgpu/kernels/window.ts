/** How kernels of convolution and pooling find what lies under a window: numbers of pixels, as WGSL. */
import type { Sliding } from "../../../ops/window.ts";
import type { Writer } from "../kernel.ts";

/** Images of h × w pixels, and windows at oh × ow places of them. */
export interface Places extends Sliding {
  readonly h: number;
  readonly w: number;
  readonly oh: number;
  readonly ow: number;
  /** (rows, columns) of the window's cells. */
  readonly window: readonly [number, number];
}

interface Found {
  /** Whether there is one. */
  readonly inside: string;
  /** Its number, of all images' pixels, or all places. */
  readonly number: string;
}

/** The pixel under a cell of the window at a place, which is a number among all images' places. */
export function pixelUnder(writer: Writer, p: Places, place: string, cellRow: string, cellColumn: string): Found {
  const image = writer.name(`${place} / ${p.oh * p.ow}u`);
  const y = writer.name(
    `${place} / ${p.ow}u % ${p.oh}u * ${p.stride[0]}u + ${cellRow} * ${p.dilation[0]}u - ${p.padding[0][0]}u`,
  );
  const x = writer.name(
    `${place} % ${p.ow}u * ${p.stride[1]}u + ${cellColumn} * ${p.dilation[1]}u - ${p.padding[1][0]}u`,
  );
  // What lies before the image is, as an unsigned number, far behind it.
  return {
    inside: `${y} < ${p.h}u && ${x} < ${p.w}u`,
    number: writer.name(`(${image} * ${p.h}u + ${y}) * ${p.w}u + ${x}`),
  };
}

/** The place from which the window has a cell over a pixel, which is a number among all images' pixels. */
export function placeOver(writer: Writer, p: Places, pixel: string, cellRow: string, cellColumn: string): Found {
  const image = writer.name(`${pixel} / ${p.h * p.w}u`);
  const down = writer.name(`${pixel} / ${p.w}u % ${p.h}u + ${p.padding[0][0]}u - ${cellRow} * ${p.dilation[0]}u`);
  const right = writer.name(`${pixel} % ${p.w}u + ${p.padding[1][0]}u - ${cellColumn} * ${p.dilation[1]}u`);
  const [y, x] = [writer.name(`${down} / ${p.stride[0]}u`), writer.name(`${right} / ${p.stride[1]}u`)];
  const whole = [down, right].flatMap((at, axis) => (p.stride[axis] > 1 ? [`${at} % ${p.stride[axis]}u == 0u`] : []));
  // Before the first place the difference is, as an unsigned number, so large that it is none after division either.
  return {
    inside: [`${y} < ${p.oh}u`, `${x} < ${p.ow}u`, ...whole].join(" && "),
    number: writer.name(`(${image} * ${p.oh}u + ${y}) * ${p.ow}u + ${x}`),
  };
}
