/** Exponential backoff with jitter. */

const FIRST_DELAY = 500;
const MAX_DELAY = 30_000; // milliseconds, both

/** Milliseconds before a retry (number 0 is the first), at random so that clients spread. */
export function backoffDelay(attempt) {
  const delay = Math.min(MAX_DELAY, FIRST_DELAY * 2 ** Math.min(attempt, 10));
  return delay / 2 + (Math.random() * delay) / 2;
}

/**
 * Repeats a reading after a failure, with growing delays. In the background it does not: a page
 * that becomes visible again reads everything anew.
 */
export class Retries {
  /** Number of failures since the last success. */
  failures = 0;
  #timer = 0;

  constructor(action) {
    this.action = action;
  }

  /** Call the action later. */
  onfailure() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => document.hidden || this.action(), backoffDelay(this.failures));
    this.failures += 1;
  }

  /** Drop a call that is due, after a success or because its result is not needed. */
  reset() {
    clearTimeout(this.#timer);
    this.failures = 0;
  }
}

/** Resolve after some milliseconds. */
export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Resolve when the page is visible; at once if it is. */
export function whenVisible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true });
  });
}
