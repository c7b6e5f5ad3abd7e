/** How a run is asked to stop: Ctrl-C, or a request of the system to end. */

/** Calls `stop` at the first Ctrl-C or request to end, and quits at the second. */
export function onSignals(stop: () => void): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  let at: number | undefined;
  const listener = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (at === undefined) {
      at = now;
      stop();
    } else if (now - at > 300) {
      // Sooner, it is the same Ctrl-C, passed on by npm or another parent. As if there were no listener, since an exit
      // would wait for a disk that hangs; shells see 130 as well.
      release();
      process.kill(process.pid, signal);
    }
  };
  const release = (): void => {
    for (const signal of signals) process.off(signal, listener);
  };
  for (const signal of signals) process.on(signal, listener);
  return release;
}
