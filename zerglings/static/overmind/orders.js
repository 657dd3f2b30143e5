/** Sends commands in order: one request at a time for each zergling. */

import { command } from "./api.js";

const MOST = 1000; // commands per request

export class Orders {
  /** Called with the zergling after success, and with the error and the id after a failure. */
  ondone = () => {};
  onerror = () => {};
  #waiting = new Map(); // by id: commands that are not sent yet

  /** Send a command. Commands given during a request are sent together after it. */
  async give(id, word) {
    const isUnderWay = this.#waiting.has(id);
    this.#waiting.set(id, (this.#waiting.get(id) ?? "") + word);
    if (isUnderWay) return;
    try {
      while (this.#waiting.get(id)) this.ondone(await command(id, this.#next(id)));
    } catch (error) {
      this.onerror(error, id); // drop the waiting commands: they were meant to follow this one
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
