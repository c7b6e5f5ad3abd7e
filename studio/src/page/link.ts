/** A spec in the address of the page, so that a link opens to the same run; and what is kept for a reload. */

import { isSpec } from "../lab/check-spec.ts";
import type { Spec } from "../lab/spec.ts";

const KEPT = "chainrule-studio-spec";

/** The page's address with the spec in it; of a file only its name is in a link. */
export function linkOf(spec: Spec): string {
  const url = new URL(location.href);
  url.hash = `run=${encodeURIComponent(JSON.stringify(spec))}`;
  return url.href;
}

function parsed(text: string | null | undefined): Spec | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return isSpec(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export const specOfLink = (): Spec | undefined =>
  location.hash.startsWith("#run=") ? parsed(decodeURIComponent(location.hash.slice(5))) : undefined;

export function keepSpec(spec: Spec): void {
  try {
    localStorage.setItem(KEPT, JSON.stringify(spec));
  } catch {
    // A page without storage begins anew after a reload.
  }
}

export function keptSpec(): Spec | undefined {
  try {
    return parsed(localStorage.getItem(KEPT));
  } catch {
    return undefined;
  }
}

/** Files are kept where there is room for them, in the browser's own store. */
export async function keepFile(name: string, bytes: Uint8Array): Promise<void> {
  if (bytes.length === 0 || typeof caches === "undefined") return;
  const store = await caches.open("chainrule-studio");
  await store.put(fileUrl(name), new Response(bytes as Uint8Array<ArrayBuffer>));
}

export async function keptFile(name: string): Promise<Uint8Array | undefined> {
  if (typeof caches === "undefined") return undefined;
  const response = await (await caches.open("chainrule-studio")).match(fileUrl(name));
  return response && new Uint8Array(await response.arrayBuffer());
}

const fileUrl = (name: string): string => new URL(`kept/${encodeURIComponent(name)}`, location.href).href;
