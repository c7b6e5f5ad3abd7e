/** All layers. Importing this file makes their kinds known, so that a model file can name them. */
export { activation } from "./activation.ts";
export type { AffineOptions } from "./affine.ts";
export * from "./attention.ts";
export * from "./composite.ts";
export * from "./convolution.ts";
export * from "./dense.ts";
export { dropout, spatialDropout } from "./dropout.ts";
export * from "./embedding.ts";
export { lastSeason } from "./last-season.ts";
export * from "./masking.ts";
export * from "./normalization.ts";
export * from "./pooling.ts";
export * from "./recurrent.ts";
export { flatten, reshape, upsampling2d, zeroPadding2d } from "./reshape.ts";
export * from "./scaling.ts";
export * from "./transformer.ts";
