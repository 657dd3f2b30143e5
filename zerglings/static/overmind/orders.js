/** Commands in the order in which they were given: one call at a time for each zergling. */

import { command } from "./api.js";

const MOST = 1000; // commands a call

export class Orders {
  /** Called with the zergling after commands, and with an error and the id after a failure. */
  ondone = () => {};
  onerror = () => {};
  #waiting = new Map(); // words that are not sent yet, by id

  /** Give one command; those that come while a call is under way go out together after it. */
  async give(id, word) {
    const isUnderWay = this.#waiting.has(id);
    this.#waiting.set(id, (this.#waiting.get(id) ?? "") + word);
    if (isUnderWay) return;
    try {
      while (this.#waiting.get(id)) this.ondone(await command(id, this.#next(id)));
    } catch (error) {
      this.onerror(error, id); // what was to follow is dropped: it was meant to come after this
    } finally {
      this.#waiting.delete(id);
    }
  }

  #next(id) {
    const words = this.#waiting.get(id);
    this.#waiting.set(id, words.slice(MOST));
    return words.slice(0, MOST);
  }
}
