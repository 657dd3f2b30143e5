/** A queue of commands for each zergling, so that it gets one request at a time, in order. */

import { command } from "./api.js";

const MAX_COMMANDS = 1000; // per request

export class CommandQueue {
  /** Called with the zergling after success, and with the error and the id after a failure. */
  ondone = () => {};
  onerror = () => {};
  #pending = new Map(); // by id: commands that are not sent yet

  /** Send a command. Commands that come during a request are sent together after it. */
  async send(id, word) {
    const isSending = this.#pending.has(id);
    this.#pending.set(id, (this.#pending.get(id) ?? "") + word);
    if (isSending) return;
    try {
      while (this.#pending.get(id)) this.ondone(await command(id, this.#next(id)));
    } catch (error) {
      this.onerror(error, id); // drop the pending commands, which were meant to follow this one
    } finally {
      this.#pending.delete(id);
    }
  }

  #next(id) {
    const words = this.#pending.get(id);
    this.#pending.set(id, words.slice(MAX_COMMANDS));
    return words.slice(0, MAX_COMMANDS);
  }
}
