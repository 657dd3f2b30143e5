/** The connection in words: live, connecting, resting, refused, or offline with the seconds to go. */

import { setHidden } from "./focus.js";
import { grouped } from "./words.js";

export class Status {
  #state = "connecting";
  #nextTry = 0;
  #timer = 0;

  /**
   * `text` is a live region; `countdown` beside it is not read out each second. `refuge` gets the
   * focus when `retry` or `signIn` is hidden with it.
   */
  constructor({ root, text, countdown, retry, signIn }, news, refuge) {
    Object.assign(this, { root, text, countdown, retry, signIn, news, refuge });
  }

  set(state, nextTry = 0) {
    this.#state = state;
    this.#nextTry = nextTry;
    clearInterval(this.#timer);
    if (state === "offline") this.#timer = setInterval(() => this.#count(), 1000);
    this.refresh();
  }

  refresh() {
    const isLoading = this.#state === "live" && !this.news.isComplete;
    this.root.dataset.state = isLoading ? "loading" : this.#state;
    const text = isLoading
      ? "Reading the list…"
      : {
          live: "Live",
          connecting: "Connecting…",
          resting: "Resting in the background",
          refused: "Signed out",
          offline: "Offline",
        }[this.#state];
    if (this.text.textContent !== text) this.text.textContent = text;
    setHidden(this.retry, this.#state !== "offline", this.refuge);
    setHidden(this.signIn, this.#state !== "refused", this.refuge);
    if (isLoading && this.news.swarm.size) this.#tell(grouped(this.news.swarm.size));
    else if (this.#state === "offline") this.#count();
    else this.#tell("");
  }

  #count() {
    const seconds = Math.max(1, Math.ceil((this.#nextTry - performance.now()) / 1000));
    this.#tell(`· next try in ${seconds} s`);
  }

  #tell(text) {
    if (this.countdown.textContent !== text) this.countdown.textContent = text;
  }
}
