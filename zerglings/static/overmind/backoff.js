/** How long to wait before the next try. */

const FIRST = 500;
const LONGEST = 30_000; // milliseconds, both

/** Milliseconds before try number `tries` (0 is the first repeat), spread so that no herd forms. */
export function pause(tries) {
  const most = Math.min(LONGEST, FIRST * 2 ** Math.min(tries, 10));
  return most / 2 + (Math.random() * most) / 2;
}

/** Resolve after some milliseconds. */
export function after(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Resolve when the person looks at the page; at once if that is now. */
export function seen() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true });
  });
}
