/** Updates the model from the list, from events and from responses to commands. */

import { countOf } from "./api.js";
import { after, pause, seen } from "./backoff.js";
import { readList } from "./listing.js";
import { ROOT } from "./root.js";
import { FACINGS } from "./swarm.js";
import { isCalm } from "./theme.js";

const LIST = `${ROOT}zerglings/`;

export class News {
  /** Called after each update; with an id if it concerned a single zergling. */
  onchange = () => {};
  /** Called when reading the list begins and when it is complete. */
  onlist = () => {};
  isComplete = false;
  #reading = null;

  constructor(swarm, traces) {
    this.swarm = swarm;
    this.traces = traces;
  }

  /** The stream is connected: read the list, unless it is complete and kept current by events. */
  ready() {
    if (!this.isComplete && !this.#reading) this.reread();
  }

  /** Read the list from the start, with retries until it is complete. */
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
        // The list failed, or a newer reading has replaced this one. Retry in the first case only.
        if (!reading.signal.aborted) await after(pause(tries)).then(seen);
      }
    }
  }

  /** Process an event: `kind` is spawned, moved or died. */
  heard(kind, zergling) {
    if (kind === "died") this.#bury(zergling.id);
    else this.take(zergling, zergling.commandCount);
  }

  /** Process a zergling in an event or a response. */
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

  /** Remove a zergling after a 404. */
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
