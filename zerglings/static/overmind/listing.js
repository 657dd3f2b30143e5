/**
 * Parses the list of all zerglings while it arrives, in chunks. Between chunks it yields to the
 * event loop, so that the page stays responsive.
 */

const BETWEEN = "},{"; // no id or facing has braces, so this occurs between entries only
const STRETCH = 10; // milliseconds of work before yielding

/** The response is no complete list. */
export class BrokenList extends Error {}

/** Call `take(entries)` for each chunk of entries; resolves at the end of the list. */
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

/** An incremental parser of the list's bytes. */
export class Pieces {
  #decoder = new TextDecoder();
  #rest = "";
  #hasBegun = false;

  /** The entries that these bytes complete. */
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

  /** The last entries; throws BrokenList if the list is incomplete. */
  end() {
    const rest = this.#rest.trim();
    if (!this.#hasBegun && rest === "{}") return [];
    if (!this.#hasBegun || !/\]\s*\}$/.test(rest)) throw new BrokenList("The list broke off.");
    return JSON.parse(`[${rest.slice(0, rest.lastIndexOf("]"))}]`);
  }
}

/** Yield to the event loop; a message is faster than the shortest timer. */
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
