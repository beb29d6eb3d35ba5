/** A bound on the wait for the head of an answer; what comes after the head is not bounded. */

/**
 * Settles as `pending` does, or with null after `ms`; an answer that comes later is dropped. Nothing is aborted: what is
 * still out when the exchange has its answer, the runtime lets go of (the scenario of failures sees the origin told).
 * PERF: workerd 1.20261117.1, microseconds of CPU each: this 1.7; `AbortSignal.timeout` joined to the client's signal by
 * `AbortSignal.any` 3.3; an AbortController with `setTimeout`, joined so, 5. Long waits are kept by the guard of
 * open-exchanges.ts, which needs no timer for each, but is less precise.
 */
export function within(pending: Promise<Response>, ms: number): Promise<Response | null> {
  return new Promise((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      resolve(null);
    }, ms);
    pending.then(
      (response) => {
        clearTimeout(timer);
        if (late) response.body?.cancel().catch(() => {});
        else resolve(response);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error as Error);
      },
    );
  });
}
