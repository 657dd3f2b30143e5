/** Reads the history of one zergling from the service, with retries, and keeps it current. */

import { ApiError, countOf, getHistory, getZergling } from "../api.js";
import { Retries } from "../backoff.js";
import { FACINGS } from "../swarm.js";
import { History } from "./history.js";

const UNASKED = 1_000_000; // newest commands that are read at once; the older ones when needed
const MAX_REPEATS = 3; // when the history changes while it is read, as rival ones are merged
const NOT_FOUND = 404;
const ON_ITS_WAY = "The beginning of the path has not arrived from another region yet.";
const ARRIVAL_PAUSE = 10_000; // milliseconds until an update makes it be read again

export class HistoryReader {
  history = null;
  /** Called after the history has changed, and with a sentence after the first of some failures. */
  onchange = () => {};
  onerror = () => {};
  #zergling = null; // the newest response, until it is processed
  #isWorking = false;
  #isAllNeeded = false;
  #repeats = 0;
  #pausesUntil = 0; // when the older part may be read again, in milliseconds
  #retries = new Retries(() => {
    this.#pausesUntil = 0;
    this.#work();
  });
  #controller = new AbortController();

  constructor(id) {
    this.id = id;
  }

  /** Whether all is read that was asked for. */
  get isReady() {
    return this.history !== null && this.history.first <= this.#start;
  }

  /** Process a response that contains the zergling. */
  update(zergling) {
    if (zergling.id !== this.id) return;
    this.#zergling = zergling;
    this.#work();
  }

  /** Read the commands that are too old to be read unasked. */
  needAll() {
    if (this.#isAllNeeded) return;
    this.#isAllNeeded = true;
    this.#work();
  }

  /** Stop; neither callback is called from now on. */
  close() {
    this.#controller.abort();
    this.#retries.reset();
  }

  /** The first step to read. */
  get #start() {
    return this.#isAllNeeded ? 0 : Math.max(0, this.history.count - UNASKED);
  }

  async #work() {
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      while (this.#zergling || (this.history && !this.isReady && !this.#isPausing)) {
        await this.#step();
        if (this.#controller.signal.aborted) return;
        this.onchange();
      }
      if (!this.#isPausing) this.#retries.reset();
    } catch (error) {
      if (this.#controller.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== NOT_FOUND) this.#onfailure(error); // else the panel finds out too
    } finally {
      this.#isWorking = false;
      this.#repeats = 0;
    }
  }

  get #isPausing() {
    return Date.now() < this.#pausesUntil;
  }

  #onIncomplete() {
    this.#pausesUntil = Date.now() + ARRIVAL_PAUSE;
    this.#onfailure({ message: ON_ITS_WAY });
  }

  #onfailure({ message }) {
    if (!this.#retries.failures) this.onerror(message);
    this.#retries.onfailure();
  }

  async #step() {
    const zergling = this.#zergling;
    if (zergling) {
      await this.#append(zergling);
      if (this.#zergling === zergling) this.#zergling = null; // a newer one may have come
    } else {
      await this.#readOlder();
    }
  }

  async #readOlder() {
    const { history } = this;
    const start = this.#start;
    const { words, missing } = await getHistory(this.id, start, this.#controller.signal);
    const first = start + missing;
    if (first >= history.first || history.prepend(words, first)) {
      if (missing) this.#onIncomplete();
      return;
    }
    this.#repeats += 1;
    if (this.#repeats > MAX_REPEATS) throw new ApiError("The history changes while it is read.");
    this.history = historyOf(await getZergling(this.id));
  }

  async #append(zergling) {
    const { history } = this;
    const count = countOf(zergling);
    let words = wordsOf(zergling);
    if (history && count < history.count) return; // responses can be reordered
    if (history && count - words.length > history.count) {
      const newer = await getHistory(this.id, history.count, this.#controller.signal);
      if (!newer.missing) {
        words = newer.words.slice(0, count - history.count);
        if (words.length < count - history.count) return; // from a store that is behind
      }
    }
    const pose = poseOf(zergling);
    if (!history?.append(words, count, pose)) this.history = new History(words, count, pose);
  }
}

/** The history as far as a response with the zergling contains it. */
function historyOf(zergling) {
  return new History(wordsOf(zergling), countOf(zergling), poseOf(zergling));
}

function wordsOf(zergling) {
  return zergling.commandHistory ?? [];
}

function poseOf({ location: { x, y }, facing }) {
  return { x, y, facing: FACINGS.indexOf(facing) };
}
