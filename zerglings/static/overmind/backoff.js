/** Exponential backoff with jitter. */

const FIRST = 500;
const LONGEST = 30_000; // milliseconds, both

/** Milliseconds before retry number `tries` (0 is the first), at random so that clients spread. */
export function pause(tries) {
  const most = Math.min(LONGEST, FIRST * 2 ** Math.min(tries, 10));
  return most / 2 + (Math.random() * most) / 2;
}

/** Resolve after some milliseconds. */
export function after(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Resolve when the page is visible; at once if it is. */
export function seen() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true });
  });
}
