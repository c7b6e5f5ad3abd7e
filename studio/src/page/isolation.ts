/**
 * Threads need a page that is isolated from all others, which its host says in headers. Where the host does not, a service
 * worker adds them, and the page is loaded once more; where that is not possible, it trains on one thread, and says so.
 */

const TRIED = "chainrule-isolation-tried";

/** Says whether the page is loaded anew now. */
export async function isolate(): Promise<boolean> {
  if (crossOriginIsolated || !("serviceWorker" in navigator)) return false;
  try {
    if (sessionStorage.getItem(TRIED)) return false;
    sessionStorage.setItem(TRIED, "yes");
    await navigator.serviceWorker.register("./isolation.js");
    await navigator.serviceWorker.ready;
  } catch {
    return false;
  }
  location.reload();
  return true;
}
