/** Shows the state of the connection, and the seconds until the next attempt while offline. */

import { setHidden } from "./focus.js";
import { numberText } from "./format.js";

export class Status {
  #state = "connecting";
  #nextTry = 0;
  #timer = 0;

  /**
   * `text` is a live region. `countdown` is outside it, so that screen readers do not read it out
   * every second. `focusFallback` gets the focus if `retry` or `signIn` has it while being hidden.
   */
  constructor({ root, text, countdown, retry, signIn }, sync, focusFallback) {
    Object.assign(this, { root, text, countdown, retry, signIn, sync, focusFallback });
    signIn.addEventListener("click", () => (signIn.hash = location.hash)); // to return to the same
  }

  set(state, nextTry = 0) {
    this.#state = state;
    this.#nextTry = nextTry;
    clearInterval(this.#timer);
    if (state === "offline") this.#timer = setInterval(() => this.#showSeconds(), 1000);
    this.refresh();
  }

  refresh() {
    const isLoading = this.#state === "live" && !this.sync.isComplete;
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
    setHidden(this.retry, this.#state !== "offline", this.focusFallback);
    setHidden(this.signIn, this.#state !== "refused", this.focusFallback);
    if (isLoading && this.sync.swarm.size) this.#setDetail(numberText(this.sync.swarm.size));
    else if (this.#state === "offline") this.#showSeconds();
    else this.#setDetail("");
  }

  #showSeconds() {
    const seconds = Math.max(1, Math.ceil((this.#nextTry - performance.now()) / 1000));
    this.#setDetail(`· next try in ${seconds} s`);
  }

  #setDetail(text) {
    if (this.countdown.textContent !== text) this.countdown.textContent = text;
  }
}
