/** The slider, the number and the text that show and choose a step of the history. */

import { setHidden } from "../focus.js";
import { numberText, poseText } from "../format.js";

export class Timeline {
  /** Called with the step that the user has chosen. */
  onstep = () => {};
  #id = null;
  #shown = null;

  /** `focusFallback` gets the focus if the timeline has it while being hidden. */
  constructor({ root, slider, number, total, pose }, focusFallback) {
    Object.assign(this, { root, slider, number, total, pose, focusFallback });
    slider.addEventListener("input", () => this.onstep(slider.valueAsNumber));
    number.addEventListener("change", () => {
      if (number.checkValidity()) this.onstep(number.valueAsNumber);
    });
    number.addEventListener("keydown", (event) => this.#pressed(event));
    number.addEventListener("blur", () => this.#writeNumber(slider.valueAsNumber));
  }

  show(explorer) {
    const { id, history, step, isNow } = explorer;
    this.root.dataset.reading = !explorer.isComplete;
    if (!history && id === this.#id) return; // it is read anew: the focus stays where it is
    this.#id = id;
    setHidden(this.root, !history?.count, this.focusFallback);
    if (!history) return;
    const isGoingOn = isNow && this.root.dataset.now === "true";
    this.root.dataset.now = isNow;
    this.slider.max = history.count;
    this.slider.value = step;
    this.number.max = history.count;
    this.#showNumber(step, isGoingOn);
    this.total.textContent = `of ${numberText(history.count)}`;
    const isKnown = step >= history.first;
    this.pose.textContent = isKnown ? poseText(history.poseAt(step)) : "Reading…";
    this.slider.setAttribute("aria-valuetext", explorer.text);
  }

  /** Show the step, but keep what the user is typing while the zergling goes on. */
  #showNumber(step, isGoingOn) {
    if (step === this.#shown || (isGoingOn && document.activeElement === this.number)) return;
    this.#writeNumber(step);
  }

  #pressed(event) {
    const { number, slider } = this;
    if (event.key === "Enter") number.reportValidity(); // keeps the focus in the field
    if (event.key === "Escape" && number.value !== slider.value) {
      event.preventDefault(); // it ends the typing only
      this.#writeNumber(slider.valueAsNumber);
    }
  }

  #writeNumber(step) {
    this.#shown = step;
    this.number.value = step;
  }
}
