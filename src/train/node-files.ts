/** Node's files, loaded when they are used: a page, which has none, does not load them. */
export const files = () => import("../data/node/files.ts");
