/**
 * Puts measured parts into a page that is otherwise written by hand: what stands between `<!-- bench:NAME -->` and
 * `<!-- /bench -->` is replaced, and nothing else.
 */

/** Throws when the page has no such place, or more than one. */
export function refresh(page: string, parts: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(parts)) {
    const pieces = page.split(`<!-- bench:${name} -->`);
    const end = pieces[1]?.indexOf(END) ?? -1;
    if (pieces.length !== 2 || end < 0 || pieces[1].slice(0, end).includes("<!-- bench:"))
      throw new Error(`The page must have one place from <!-- bench:${name} --> to ${END}; write it where it belongs.`);
    page = `${pieces[0]}<!-- bench:${name} -->\n\n${text.trim()}\n\n${pieces[1].slice(end)}`;
  }
  return page;
}

const END = "<!-- /bench -->";
