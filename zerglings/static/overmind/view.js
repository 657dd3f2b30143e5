/** Moves the view: as the person asks for it, and until then so that everybody is in it. */

const PAN = 0.15; // of the view, a key
const ZOOM_MILLISECONDS = 160;
const FIT_GAP = 120; // milliseconds
const MARGIN = 48; // CSS pixels from the edge within which somebody is kept
const START = 40; // CSS pixels a step while nobody is there

export class View {
  /** Whether it is left where it is; until then it follows the swarm. */
  isOwn = false;
  #timer = 0;

  constructor({ camera, painter, swarm }) {
    Object.assign(this, { camera, painter, swarm });
  }

  /** Show everyone; `milliseconds` is how long the view may glide there. */
  fit(milliseconds) {
    const extent = this.swarm.extent();
    const target = this.camera.copy();
    if (extent) target.fit(extent);
    else target.lookAt(0, 0, START);
    this.painter.flyTo(target, milliseconds);
  }

  /** Show everyone if the person has not moved the view. */
  follow() {
    if (!this.isOwn) this.fit(0);
  }

  /** Show everyone once, as soon as there is somebody; from then on the view is the person's. */
  welcome() {
    this.follow();
    this.isOwn ||= this.swarm.size > 0;
  }

  /** For while the list arrives: to look where all are at each few entries would be costly. */
  followSoon() {
    if (this.isOwn) return;
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.follow();
    }, FIT_GAP);
  }

  /** The person has moved the camera, with the pointer. */
  taken() {
    this.isOwn = true;
    this.painter.stopFlight();
    this.painter.refreshView();
  }

  zoom(factor) {
    this.isOwn = true;
    const target = this.painter.destination.copy();
    target.zoom(factor);
    this.painter.flyTo(target, ZOOM_MILLISECONDS);
  }

  /** Look further to a side: 1 is right, or down, and −1 the other way. */
  pan(right, down) {
    this.camera.pan(-right * PAN * this.camera.width, -down * PAN * this.camera.height);
    this.taken();
  }

  goTo(x, y, scale = this.camera.scale) {
    this.isOwn = true;
    const target = this.camera.copy();
    target.lookAt(x, y, scale);
    this.painter.flyTo(target);
  }

  /** Move only as far as a slot needs to stay in view. */
  keep(slot) {
    const { xs, ys } = this.swarm;
    if (slot < 0 || this.camera.shows(xs[slot], ys[slot], MARGIN)) return;
    this.goTo(xs[slot], ys[slot]);
  }

  /** The place in the middle. */
  get middle() {
    return this.camera.placeAt(this.camera.width / 2, this.camera.height / 2);
  }
}
