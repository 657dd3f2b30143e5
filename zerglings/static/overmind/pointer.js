/** Mouse and touch input: drag to pan, wheel or pinch to zoom, click or tap to select. */

const CLICK_TOLERANCE = 6; // CSS pixels that the pointer may move during a click
const WHEEL_ZOOM = 0.0015; // zoom exponent per pixel of the wheel
const LINE_HEIGHT = 16; // pixels per line, for wheels that report lines

export class Pointer {
  /** Called with the point of a click, and with the point under a hovering mouse, or null. */
  onclick = () => {};
  onhover = () => {};
  /** Called after the view was moved. */
  onmove = () => {};
  #down = new Map(); // points of the pressed pointers, by id
  #travelled = 0;

  constructor(element, camera) {
    this.element = element;
    this.camera = camera;
    element.addEventListener("pointerdown", (event) => this.#press(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    element.addEventListener("pointerup", (event) => this.#release(event));
    element.addEventListener("pointercancel", (event) => this.#cancel(event));
    element.addEventListener("pointerleave", () => this.onhover(null));
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  #press(event) {
    if (event.button !== 0) return;
    this.element.setPointerCapture(event.pointerId);
    if (!this.#down.size) this.#travelled = 0;
    this.#down.set(event.pointerId, this.#point(event));
    if (this.#down.size > 1) this.#travelled = Infinity; // two fingers never click
  }

  #move(event) {
    const now = this.#point(event);
    const before = this.#down.get(event.pointerId);
    if (!before) {
      this.onhover(event.pointerType === "touch" ? null : now);
      return;
    }
    this.#travelled += Math.hypot(now.left - before.left, now.top - before.top);
    if (this.#down.size === 2) this.#pinch(event.pointerId, before, now);
    if (this.#down.size === 1 && this.#travelled > CLICK_TOLERANCE) {
      this.camera.pan(now.left - before.left, now.top - before.top);
    }
    this.#down.set(event.pointerId, now);
    if (this.#travelled > CLICK_TOLERANCE) {
      this.element.classList.add("is-dragged");
      this.onmove();
    }
  }

  #pinch(moved, before, now) {
    const [other] = [...this.#down].filter(([id]) => id !== moved).map(([, point]) => point);
    const middle = (a) => ({ left: (a.left + other.left) / 2, top: (a.top + other.top) / 2 });
    const gap = (a) => Math.max(1, Math.hypot(a.left - other.left, a.top - other.top));
    const from = middle(before);
    const to = middle(now);
    this.camera.pan(to.left - from.left, to.top - from.top);
    this.camera.zoom(gap(now) / gap(before), to.left, to.top);
  }

  #release(event) {
    if (!this.#down.delete(event.pointerId)) return;
    this.element.classList.remove("is-dragged");
    if (this.#travelled <= CLICK_TOLERANCE && !this.#down.size) this.onclick(this.#point(event));
  }

  #cancel(event) {
    this.#down.delete(event.pointerId);
    this.#travelled = Infinity; // the browser has taken the gesture over, so it is no click
    if (!this.#down.size) this.element.classList.remove("is-dragged");
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_HEIGHT : 1);
    const { left, top } = this.#point(event);
    // Browsers report a touchpad pinch as wheel events with Ctrl, in much smaller steps.
    this.camera.zoom(Math.exp(-pixels * WHEEL_ZOOM * (event.ctrlKey ? 6 : 1)), left, top);
    this.onmove();
  }

  #point(event) {
    const box = this.element.getBoundingClientRect();
    return { left: event.clientX - box.left, top: event.clientY - box.top };
  }
}
