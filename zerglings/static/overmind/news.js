/** Brings what the service tells into the model: the list, events, and answers to commands. */

import { countOf } from "./api.js";
import { after, pause, seen } from "./backoff.js";
import { readList } from "./listing.js";
import { ROOT } from "./root.js";
import { FACINGS } from "./swarm.js";
import { isCalm } from "./theme.js";

const LIST = `${ROOT}zerglings/`;

export class News {
  /** Called after anything was taken in; with the id where it was about one zergling. */
  onchange = () => {};
  /** Called when the list begins to be read and when it is complete. */
  onlist = () => {};
  isComplete = false;
  #reading = null;

  constructor(swarm, traces) {
    this.swarm = swarm;
    this.traces = traces;
  }

  /** A connection stands: read the list, unless one is complete and was kept up since. */
  ready() {
    if (!this.isComplete && !this.#reading) this.reread();
  }

  /** Read the list from the start, again and again until it is complete. */
  async reread() {
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    this.isComplete = false;
    this.onlist();
    for (let tries = 0; !reading.signal.aborted; tries += 1) {
      try {
        await this.#readOnce(reading.signal);
        this.#reading = null;
        this.isComplete = true;
        this.onlist();
        return;
      } catch {
        // Broken off, refused, or replaced by a newer reading: only the last is an end.
        if (!reading.signal.aborted) await after(pause(tries)).then(seen);
      }
    }
  }

  /** An event: `kind` is spawned, moved or died. */
  heard(kind, zergling) {
    if (kind === "died") this.#bury(zergling.id);
    else this.take(zergling, zergling.commandCount);
  }

  /** A zergling as an event or an answer shows it. */
  take(zergling, count = countOf(zergling)) {
    const { id, location, facing } = zergling;
    const { swarm } = this;
    const before = swarm.hear(id, location.x, location.y, FACINGS.indexOf(facing), count);
    if (before && !document.hidden) {
      const { slot } = before;
      const now = performance.now();
      this.traces.add(slot, location.x, location.y, swarm.facings[slot], before, now, isCalm());
    }
    this.onchange(id);
  }

  /** The service says that there is none with this id. */
  gone(id) {
    this.#bury(id);
  }

  #bury(id) {
    const slot = this.swarm.find(id);
    if (slot >= 0) this.traces.forget(slot);
    this.swarm.bury(id);
    this.onchange(id);
  }

  async #readOnce(signal) {
    const { swarm } = this;
    swarm.beginList();
    await readList(LIST, signal, (entries) => {
      for (const { id, location, facing } of entries) {
        swarm.list(id, location.x, location.y, FACINGS.indexOf(facing));
      }
      if (entries.length) this.onchange();
    });
    swarm.endList();
    this.onchange();
  }
}
