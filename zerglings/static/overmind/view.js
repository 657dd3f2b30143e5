/** Moves the view on the user's actions. Before the first action it shows all zerglings. */

const PAN = 0.15; // of the view, per key press
const ZOOM_MILLISECONDS = 160;
const FIT_GAP = 120; // milliseconds between two fits while the list arrives
const MARGIN = 48; // CSS pixels between a zergling kept in view and the edge
const START_SCALE = 40; // CSS pixels per step on an empty grid

export class View {
  /** Whether the view stays where it is. Until then it follows the swarm, to show all of it. */
  isFixed = false;
  #timer = 0;

  constructor({ camera, painter, swarm }) {
    Object.assign(this, { camera, painter, swarm });
  }

  /** Show all zerglings; `milliseconds` is the duration of the animation. */
  fit(milliseconds) {
    const extent = this.swarm.extent();
    const target = this.camera.copy();
    if (extent) target.fit(extent);
    else target.lookAt(0, 0, START_SCALE);
    this.painter.flyTo(target, milliseconds);
  }

  /** Show all zerglings if the view follows the swarm. */
  follow() {
    if (!this.isFixed) this.fit(0);
  }

  /** Show all zerglings, and stop following unless the grid is empty. */
  finishFollowing() {
    this.follow();
    this.isFixed ||= this.swarm.size > 0;
  }

  /** Follow with a delay: while the list arrives, fitting at each chunk would be slow. */
  followSoon() {
    if (this.isFixed) return;
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.follow();
    }, FIT_GAP);
  }

  /** Stop following and animating, because the user has moved the camera. */
  onUserMove() {
    this.isFixed = true;
    this.painter.stopFlight();
    this.painter.refreshView();
  }

  zoom(factor) {
    this.isFixed = true;
    const target = this.painter.destination.copy();
    target.zoom(factor);
    this.painter.flyTo(target, ZOOM_MILLISECONDS);
  }

  /** Pan by `PAN` of the view: 1 is right or down, −1 left or up. */
  pan(right, down) {
    this.camera.pan(-right * PAN * this.camera.width, -down * PAN * this.camera.height);
    this.onUserMove();
  }

  /** Centre a location, at `scale` or larger. */
  goTo(x, y, scale = 0) {
    this.isFixed = true;
    const target = this.camera.copy();
    target.lookAt(x, y, Math.max(scale, this.camera.scale));
    this.painter.flyTo(target);
  }

  /** Show all of a rectangle of locations. */
  show(box) {
    this.isFixed = true;
    const target = this.camera.copy();
    target.fit(box);
    this.painter.flyTo(target);
  }

  /** Centre a location unless it is in view. */
  bringIntoView(x, y) {
    if (!this.camera.shows(x, y, MARGIN)) this.goTo(x, y);
  }

  /** The location at the centre. */
  get centre() {
    return this.camera.locationAt(this.camera.width / 2, this.camera.height / 2);
  }
}
