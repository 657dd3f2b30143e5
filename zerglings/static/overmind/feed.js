/**
 * What happens, as it happens: one event stream, opened anew by itself whenever it ends or falls
 * silent, from where it ended. Tells what it hears and how it is; knows nothing of the model.
 */

import { pause } from "./backoff.js";
import { ROOT } from "./root.js";

const PATH = `${ROOT}events`;
const KINDS = ["spawned", "moved", "died"];
const SILENCE = 40_000; // milliseconds without an event, even a heartbeat: the connection is dead
const REST_AFTER = 30_000; // milliseconds in the background after which the stream is given back

export class Feed {
  /** Whoever listens sets these. `onstate` gets "connecting", "live", "resting", "refused", or
   * "offline" with the time (of `performance.now`) of the next try. `isRefused` resolves to whether
   * there is no use in another try before the person has done something. */
  onready = () => {};
  onreset = () => {};
  onheard = () => {};
  onstate = () => {};
  isRefused = async () => false;
  #source = null;
  #position = null;
  #failures = 0;
  #timer = 0;
  #silenceTimer = 0;
  #restTimer = 0;

  start() {
    document.addEventListener("visibilitychange", () => this.#onvisibility());
    addEventListener("online", () => this.retryNow());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", (event) => event.persisted && this.retryNow());
    this.#open();
    this.#onvisibility(); // a page may be opened in the background
  }

  /** Do not wait any longer, if a try is due. */
  retryNow() {
    if (!this.#source) this.#open();
  }

  #open() {
    this.#close();
    this.onstate("connecting");
    const since = this.#position === null ? "" : `?since=${encodeURIComponent(this.#position)}`;
    const source = new EventSource(PATH + since);
    this.#source = source;
    this.#listenOn();
    source.addEventListener("open", () => this.#onopen());
    source.addEventListener("error", () => this.#onerror());
    source.addEventListener("heartbeat", () => this.#listenOn());
    source.addEventListener("ready", (event) => this.#told(event, () => this.onready()));
    source.addEventListener("reset", (event) => this.#told(event, () => this.onreset()));
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        this.#told(event, () => this.onheard(kind, JSON.parse(event.data).zergling));
      });
    }
  }

  #close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#silenceTimer);
    this.#source?.close();
    this.#source = null;
  }

  /** A dead connection looks like one on which nothing happens; but a live one is never silent. */
  #listenOn() {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => this.#onerror(), SILENCE);
  }

  #told(event, tell) {
    this.#listenOn();
    tell();
    // The position stands behind what was told, so it counts only once that was taken in.
    if (event.lastEventId) this.#position = event.lastEventId;
  }

  #onopen() {
    this.#failures = 0;
    this.onstate("live");
  }

  #onerror() {
    // A browser tries again by itself after some errors and never after others, and does not say
    // when; so it is always done here.
    const wasAnswered = this.#source?.readyState === EventSource.CLOSED; // but not with a stream
    this.#close();
    if (document.hidden) return this.onstate("resting");
    const wait = pause(this.#failures);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#open(), wait);
    this.onstate("offline", performance.now() + wait);
    if (wasAnswered) this.#ask();
  }

  /** A browser does not say what a stream was answered with. */
  async #ask() {
    const timer = this.#timer;
    const isRefused = await this.isRefused();
    if (!isRefused || timer !== this.#timer || this.#source) return; // it has gone on meanwhile
    this.#close();
    this.onstate("refused");
  }

  #onvisibility() {
    clearTimeout(this.#restTimer);
    if (!document.hidden) return this.retryNow();
    this.#restTimer = setTimeout(() => {
      this.#close();
      this.onstate("resting");
    }, REST_AFTER);
  }
}
