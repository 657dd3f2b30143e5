/**
 * Reads the list of all zerglings while it arrives. Holds a piece of it at a time, never the whole,
 * and lets the page breathe between pieces.
 */

const BETWEEN = "},{"; // neither ids nor facings have braces, so this stands only between entries
const STRETCH = 10; // milliseconds of work without a break

/** What came is not a whole list. */
export class BrokenList extends Error {}

/** Call `take(entries)` with each few entries; resolves when the list has come to its end. */
export async function readList(path, signal, take) {
  const response = await fetch(path, {
    headers: { Accept: "application/json" },
    cache: "no-store",
    signal,
  });
  if (!response.ok) throw new BrokenList(`The list was answered with ${response.status}.`);
  const reader = response.body.getReader();
  const pieces = new Pieces();
  let rested = performance.now();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    take(pieces.push(value));
    if (performance.now() - rested > STRETCH) {
      await breath();
      signal.throwIfAborted();
      rested = performance.now();
    }
  }
  take(pieces.end());
}

/** Cuts the bytes of a list into entries. */
export class Pieces {
  #decoder = new TextDecoder();
  #rest = "";
  #hasBegun = false;

  /** The entries that are complete with these bytes. */
  push(bytes) {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    if (!this.#hasBegun) {
      const start = this.#rest.indexOf("[");
      if (start < 0) return [];
      this.#rest = this.#rest.slice(start + 1);
      this.#hasBegun = true;
    }
    const cut = this.#rest.lastIndexOf(BETWEEN);
    if (cut < 0) return [];
    const entries = JSON.parse(`[${this.#rest.slice(0, cut + 1)}]`);
    this.#rest = this.#rest.slice(cut + 2);
    return entries;
  }

  /** The last entries; throws where the list broke off. */
  end() {
    const rest = this.#rest.trim();
    if (!this.#hasBegun && rest === "{}") return [];
    if (!this.#hasBegun || !/\]\s*\}$/.test(rest)) throw new BrokenList("The list broke off.");
    return JSON.parse(`[${rest.slice(0, rest.lastIndexOf("]"))}]`);
  }
}

/** Let the page paint and listen. A message comes back sooner than the least time of a timer. */
function breath() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
