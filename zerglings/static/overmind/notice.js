/** Shows one sentence on the map for some seconds. Its element is a live region. */

const DURATION = 8000; // milliseconds

export class Notice {
  #timer = 0;

  constructor(element) {
    this.element = element;
  }

  show(text, isError = false) {
    clearTimeout(this.#timer);
    this.element.textContent = text;
    this.element.dataset.kind = isError ? "error" : "info";
    this.#timer = setTimeout(() => (this.element.textContent = ""), DURATION);
  }
}
