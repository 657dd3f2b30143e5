/**
 * The history of the selected zergling: which step is shown, and the controls that choose it. It
 * shows "now", the state after all commands, unless the user has chosen an earlier step.
 */

import { countText, numberText, poseText } from "../format.js";
import { HistoryReader } from "./reader.js";

export class Explorer {
  /** Called after the history or the step shown has changed. */
  onchange = () => {};
  /** Called with the pose after the user has chosen a step, as soon as its pose is known. */
  onmove = () => {};
  /** Called with a sentence. */
  onerror = () => {};
  #reader = null;
  #step = null; // null is now
  #isMoveDue = false; // the pose of the chosen step is not known yet

  constructor({ timeline, strip }) {
    Object.assign(this, { timeline, strip });
    timeline.onstep = (step) => this.goTo(step);
    strip.onstep = (step) => this.goTo(step);
    strip.onmissing = () => this.#reader?.needAll();
  }

  /** Start with the zergling of an id, or with none for null. Shows now. */
  show(id) {
    this.#reader?.close();
    this.#reader = id === null ? null : this.#newReader(id);
    this.#step = null;
    this.#isMoveDue = false;
    this.#refresh();
  }

  /** Process a response that contains a zergling. */
  update(zergling) {
    this.#reader?.update(zergling);
  }

  /** The zergling's id, or null. */
  get id() {
    return this.#reader?.id ?? null;
  }

  get history() {
    return this.#reader?.history ?? null;
  }

  /** Whether all is known that was asked for. */
  get isComplete() {
    return this.#reader?.isReady ?? false;
  }

  /** The step that is shown. */
  get step() {
    return this.#step ?? this.history?.count ?? 0;
  }

  get isNow() {
    return this.#step === null;
  }

  /** The pose at the step that is shown; null for now, and while it is not known. */
  get past() {
    const isKnown = !this.isNow && this.history?.first <= this.#step;
    return isKnown ? this.history.poseAt(this.#step) : null;
  }

  /** The step shown and its pose in words. */
  get text() {
    const { history, step } = this;
    if (!history) return "Its history is being read.";
    const at = `Step ${numberText(step)} of ${numberText(history.count)}`;
    if (step < history.first) return `${at}: the older commands are being read.`;
    const pose = poseText(history.poseAt(step));
    const commands = countText(step, "command", "commands");
    return this.isNow ? `Now, after ${commands}: ${pose}.` : `${at}: ${pose}.`;
  }

  /** Show a step; the last one, or null, is now. */
  goTo(step) {
    if (!this.#reader) return;
    this.#step = step;
    this.#isMoveDue = true;
    this.#refresh();
  }

  /** Show the step some steps later, or earlier. */
  goBy(steps) {
    if (!this.history) return;
    this.goTo(Math.min(this.history.count, Math.max(0, this.step + steps)));
  }

  goToNow() {
    this.goTo(null);
  }

  #newReader(id) {
    const reader = new HistoryReader(id);
    reader.onchange = () => this.#refresh();
    reader.onerror = (sentence) => this.onerror(sentence);
    return reader;
  }

  #refresh() {
    this.#limitStep();
    const { history, step } = this;
    if (history && step < history.first) this.#reader.needAll();
    this.timeline.show(this);
    this.strip.show(this);
    this.onchange();
    if (!this.#isMoveDue || !history || step < history.first) return;
    this.#isMoveDue = false;
    this.onmove(history.poseAt(step));
  }

  #limitStep() {
    const { history } = this;
    if (this.#step === null || !history || this.#step < history.count) return;
    if (this.#step > history.count) {
      const commands = countText(history.count, "command", "commands");
      this.onerror(`There is no step ${numberText(this.#step)}: it has had ${commands}.`);
      this.#isMoveDue = false; // its sentence would replace the error
    }
    this.#step = null;
  }
}
