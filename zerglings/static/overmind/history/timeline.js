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
    // Only with Enter, because it keeps the focus in the field.
    number.addEventListener("keydown", ({ key }) => key === "Enter" && number.reportValidity());
    number.addEventListener("blur", () => this.#writeNumber(slider.valueAsNumber));
  }

  show(explorer) {
    const { id, history, step, isNow } = explorer;
    this.root.dataset.reading = !explorer.isComplete;
    if (!history && id === this.#id) return; // it is read anew: the focus stays where it is
    this.#id = id;
    setHidden(this.root, !history?.count, this.focusFallback);
    if (!history) return;
    this.root.dataset.now = isNow;
    this.slider.max = history.count;
    this.slider.value = step;
    this.number.max = history.count;
    this.#showNumber(step, isNow);
    this.total.textContent = `of ${numberText(history.count)}`;
    const isKnown = step >= history.first;
    this.pose.textContent = isKnown ? poseText(history.poseAt(step)) : "Reading…";
    this.slider.setAttribute("aria-valuetext", explorer.text);
  }

  /** Show the step, but keep what the user is typing while the zergling goes on. */
  #showNumber(step, isNow) {
    if (step === this.#shown || (isNow && document.activeElement === this.number)) return;
    this.#writeNumber(step);
  }

  #writeNumber(step) {
    this.#shown = step;
    this.number.value = step;
  }
}
