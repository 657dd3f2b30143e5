/**
 * Parses the list of all zerglings while it arrives, in chunks. Between chunks it yields to the
 * event loop, so that the page stays responsive.
 */

const SEPARATOR = "},{"; // no id or facing has braces, so this occurs between entries only
const MAX_WORK = 10; // milliseconds of work before yielding

/** The response is not a complete list. */
export class IncompleteList extends Error {}

/** Call `onEntries(entries)` for each chunk of entries; resolves at the end of the list. */
export async function readList(path, signal, onEntries) {
  const response = await fetch(path, {
    headers: { Accept: "application/json" },
    cache: "no-store",
    signal,
  });
  if (!response.ok) throw new IncompleteList(`The list was answered with ${response.status}.`);
  const reader = response.body.getReader();
  const parser = new ListParser();
  let lastYield = performance.now();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    onEntries(parser.push(value));
    if (performance.now() - lastYield > MAX_WORK) {
      await yieldToEventLoop();
      signal.throwIfAborted();
      lastYield = performance.now();
    }
  }
  onEntries(parser.end());
}

/** An incremental parser of the list's bytes. */
export class ListParser {
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
    const cut = this.#rest.lastIndexOf(SEPARATOR);
    if (cut < 0) return [];
    const entries = JSON.parse(`[${this.#rest.slice(0, cut + 1)}]`);
    this.#rest = this.#rest.slice(cut + 2);
    return entries;
  }

  /** The last entries; throws IncompleteList if the list is incomplete. */
  end() {
    const rest = this.#rest.trim();
    if (!this.#hasBegun && rest === "{}") return [];
    if (!this.#hasBegun || !/\]\s*\}$/.test(rest)) throw new IncompleteList("The list broke off.");
    return JSON.parse(`[${rest.slice(0, rest.lastIndexOf("]"))}]`);
  }
}

/** Yield to the event loop; a message is faster than the shortest timer. */
function yieldToEventLoop() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
