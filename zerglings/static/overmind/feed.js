/**
 * The client of the event stream. It reconnects whenever the stream ends or is silent, and resumes
 * at the last position. It calls back with events and with the state of the connection.
 */

import { backoffDelay } from "./backoff.js";
import { ROOT } from "./root.js";

const PATH = `${ROOT}events`;
const KINDS = ["spawned", "moved", "died"];
const SILENCE = 40_000; // milliseconds without any event, even a heartbeat: the connection is dead
const CLOSE_AFTER = 30_000; // milliseconds in the background after which the stream is closed

export class Feed {
  /** Callbacks. `onstate` gets "connecting", "live", "resting", "refused", or "offline" with the
   * time (of `performance.now`) of the next attempt. `isUnauthorized` resolves to whether retries
   * are useless until the user has signed in. */
  onready = () => {};
  onreset = () => {};
  onevent = () => {};
  onstate = () => {};
  isUnauthorized = async () => false;
  #source = null;
  #position = null;
  #failures = 0;
  #timer = 0;
  #silenceTimer = 0;
  #closeTimer = 0;

  start() {
    document.addEventListener("visibilitychange", () => this.#onvisibility());
    addEventListener("online", () => this.retryNow());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", (event) => event.persisted && this.retryNow());
    this.#open();
    this.#onvisibility(); // the page may have been opened in the background
  }

  /** Connect now instead of waiting for the backoff. */
  retryNow() {
    if (!this.#source) this.#open();
  }

  #open() {
    this.#close();
    this.onstate("connecting");
    const since = this.#position === null ? "" : `?since=${encodeURIComponent(this.#position)}`;
    const source = new EventSource(PATH + since);
    this.#source = source;
    this.#restartSilenceTimer();
    source.addEventListener("open", () => this.#onopen());
    source.addEventListener("error", () => this.#onerror());
    source.addEventListener("heartbeat", () => this.#restartSilenceTimer());
    source.addEventListener("ready", (event) => this.#process(event, () => this.onready()));
    source.addEventListener("reset", (event) => this.#process(event, () => this.onreset()));
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        this.#process(event, () => this.onevent(kind, JSON.parse(event.data).zergling));
      });
    }
  }

  #close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#silenceTimer);
    this.#source?.close();
    this.#source = null;
  }

  /** Restart the silence timer: heartbeats tell an idle connection from a dead one. */
  #restartSilenceTimer() {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => this.#onerror(), SILENCE);
  }

  #process(event, callback) {
    this.#restartSilenceTimer();
    callback();
    // The position is that after the event, so store it only once the event was processed.
    if (event.lastEventId) this.#position = event.lastEventId;
  }

  #onopen() {
    this.#failures = 0;
    this.onstate("live");
  }

  #onerror() {
    // EventSource reconnects after some errors only and does not say when, so always close it and
    // reconnect here.
    const wasAnswered = this.#source?.readyState === EventSource.CLOSED; // with an error response
    this.#close();
    if (document.hidden) return this.onstate("resting");
    const wait = backoffDelay(this.#failures);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#open(), wait);
    this.onstate("offline", performance.now() + wait);
    if (wasAnswered) this.#checkAuthorization();
  }

  /** Find out whether the token was rejected: EventSource does not expose the status. */
  async #checkAuthorization() {
    const timer = this.#timer;
    const isUnauthorized = await this.isUnauthorized();
    const hasReconnected = timer !== this.#timer || this.#source;
    if (!isUnauthorized || hasReconnected) return;
    this.#close();
    this.onstate("refused");
  }

  #onvisibility() {
    clearTimeout(this.#closeTimer);
    if (!document.hidden) return this.retryNow();
    this.#closeTimer = setTimeout(() => {
      this.#close();
      this.onstate("resting");
    }, CLOSE_AFTER);
  }
}
