/**
 * Paints four stacked canvases: the grid, the path of the selected zergling, the zerglings at rest,
 * and the animations. Each is painted only after a change, so that an idle map costs no CPU time.
 */

import { PathPainter } from "./history/pathpainter.js";
import { Sprites } from "./sprites.js";
import { paintGrid } from "./grid.js";
import { paintCursor, paintPast, paintSelection, paintStart, paintTrails } from "./overlay.js";
import { Points } from "./points.js";
import { prefersReducedMotion } from "./theme.js";

const NEAR_SCALE = 7; // CSS pixels per step from which sprites are drawn instead of points
const NUMBER_SCALE = 22; // CSS pixels per step from which crowded locations show their number
const MAX_PIXELS = 6_000_000; // per canvas
const PAUSE_FACTOR = 2; // after a slow painting, pause for this multiple of its time
const SLOW = 8; // milliseconds from which a painting is slow
const [GRID, PATH, SWARM, OVERLAY] = [0, 1, 2, 3]; // the canvases, from bottom to top

export class Painter {
  /** The pointer's position in CSS pixels; null while it is outside the map. */
  pointerPosition = null;
  /** Called at most once per frame after the view or its size has changed. */
  onview = () => {};
  #contexts;
  #pathPainter = new PathPainter();
  #points = new Points();
  #sprites = new Sprites();
  #ratio = 1;
  #isGridStale = true;
  #isPathStale = true;
  #isSwarmStale = true;
  #paintedVersion = -1;
  #pausedUntil = 0;
  #isRequested = false;
  #flight = null;

  constructor(canvases, { swarm, camera, animations, theme, selection, explorer }) {
    this.#contexts = canvases.map((canvas) => canvas.getContext("2d"));
    Object.assign(this, { swarm, camera, animations, theme, selection, explorer });
  }

  /** Fit the canvases to their element, in device pixels up to `MAX_PIXELS`. */
  resize(width, height) {
    const affordable = Math.sqrt(MAX_PIXELS / (width * height));
    this.#ratio = Math.min(devicePixelRatio, affordable);
    this.camera.resize(width, height);
    for (const { canvas } of this.#contexts) {
      canvas.width = Math.max(1, Math.round(width * this.#ratio));
      canvas.height = Math.max(1, Math.round(height * this.#ratio));
    }
    this.#markAllStale();
    this.#paintFrame(performance.now()); // at once, because resizing clears a canvas
  }

  /** Repaint after a change of the swarm, the selection or the cursor. */
  refresh() {
    if (this.#isRequested) return;
    this.#isRequested = true;
    requestAnimationFrame((now) => this.#paintFrame(now));
  }

  /** Repaint everything after a change of the camera or the theme. */
  refreshView() {
    this.#markAllStale();
    this.refresh();
  }

  /** Repaint after a change of the selected zergling's history or of the step shown. */
  refreshPath() {
    this.#isPathStale = true;
    this.refresh();
  }

  /** Animate to another camera; jump if it is far away or the user prefers reduced motion. */
  flyTo(target, milliseconds = 320) {
    const from = this.camera.copy();
    const far = Math.abs(from.originX - target.originX) + Math.abs(from.originY - target.originY);
    const isFar = far * Math.min(from.scale, target.scale) > 4 * (from.width + from.height);
    const duration = prefersReducedMotion() || isFar ? 0 : milliseconds;
    this.#flight = { from, target, start: performance.now(), duration };
    this.refreshView();
  }

  /** The location under the pointer, or null. */
  get cursor() {
    if (!this.pointerPosition) return null;
    const { left, top } = this.pointerPosition;
    return this.camera.locationAt(left, top);
  }

  /** The camera at the end of the present animation. */
  get destination() {
    return this.#flight?.target ?? this.camera;
  }

  /** Stop the animation, because the user has moved the view. */
  stopFlight() {
    this.#flight = null;
  }

  #paintFrame(now) {
    this.#isRequested = false;
    this.#animateCamera(now);
    const hasEnded = this.animations.removeFinished(now);
    if (this.#isGridStale) {
      this.#onLayer(GRID, (context) => paintGrid(context, this.camera, this.theme));
      this.#isGridStale = false;
      this.onview();
    }
    if (this.#isPathStale) this.#paintPath();
    const isStale = hasEnded || this.swarm.version !== this.#paintedVersion;
    if (this.#isSwarmStale || (isStale && now >= this.#pausedUntil)) this.#paintSwarm(now);
    this.#paintOverlay(now);
    const isWaiting = this.swarm.version !== this.#paintedVersion;
    if (this.#flight || isWaiting || !this.animations.isEmpty) this.refresh();
  }

  #animateCamera(now) {
    if (!this.#flight) return;
    const { from, target, start, duration } = this.#flight;
    const part = duration ? Math.min(1, Math.max(0, (now - start) / duration)) : 1;
    this.camera.interpolate(from, target, 1 - (1 - part) ** 3);
    if (part === 1) {
      const { width, height } = this.camera;
      Object.assign(this.camera, target);
      this.camera.resize(width, height);
      this.#flight = null;
    }
    this.#markAllStale();
  }

  #markAllStale() {
    this.#isGridStale = true;
    this.#isPathStale = true;
    this.#isSwarmStale = true;
  }

  #paintPath() {
    const { camera, theme, explorer } = this;
    const { history, step } = explorer;
    const ratio = this.#ratio;
    this.#pathPainter.paint(this.#contexts[PATH], { camera, theme, history, step, ratio });
    this.#isPathStale = false;
  }

  #paintSwarm(now) {
    const began = performance.now();
    const context = this.#contexts[SWARM];
    this.#paintedVersion = this.swarm.version;
    this.#isSwarmStale = false;
    context.setTransform(1, 0, 0, 1, 0, 0);
    const visible = this.swarm.within(this.camera.box(1));
    if (this.camera.scale >= NEAR_SCALE) {
      context.clearRect(0, 0, context.canvas.width, context.canvas.height);
      this.#sprites.prepare(Math.round(this.camera.scale * this.#ratio), this.theme);
      this.#paintSprites(context, visible);
    } else {
      this.#points.paint(context, this.camera, this.swarm, this.theme, visible, this.#ratio);
    }
    const cost = performance.now() - began;
    this.#pausedUntil = cost > SLOW ? now + cost * (1 + PAUSE_FACTOR) : 0;
  }

  /** Paint one sprite per occupied location; the overlay has those that move. */
  #paintSprites(context, { slots, count }) {
    const { camera, swarm, animations } = this;
    const box = camera.box(1);
    const columns = box.maxX - box.minX + 1;
    const crowds = new Map();
    for (let n = 0; n < count; n += 1) {
      const slot = slots[n];
      if (animations.isMoving(slot)) continue;
      const place = (swarm.ys[slot] - box.minY) * columns + (swarm.xs[slot] - box.minX);
      const others = crowds.get(place) ?? 0;
      crowds.set(place, others + 1);
      if (others) continue;
      const left = camera.screenX(swarm.xs[slot]) * this.#ratio;
      const top = camera.screenY(swarm.ys[slot]) * this.#ratio;
      this.#sprites.draw(context, swarm.facings[slot], left, top);
    }
    if (camera.scale < NUMBER_SCALE) return;
    for (const [place, crowd] of crowds) {
      if (crowd === 1) continue;
      const y = box.minY + Math.floor(place / columns);
      this.#paintNumber(context, crowd, box.minX + (place % columns), y);
    }
  }

  #paintNumber(context, crowd, x, y) {
    const { camera, theme } = this;
    const ratio = this.#ratio;
    const text = crowd > 999 ? "999+" : String(crowd);
    context.font = `600 ${11 * ratio}px ${theme.font}`;
    const half = context.measureText(text).width / 2 + 5 * ratio;
    const left = (camera.screenX(x) + camera.scale * 0.34) * ratio;
    const top = (camera.screenY(y) - camera.scale * 0.34) * ratio;
    context.fillStyle = theme.ink;
    context.beginPath();
    context.roundRect(left - half, top - 8 * ratio, 2 * half, 16 * ratio, 8 * ratio);
    context.fill();
    context.fillStyle = theme.paper;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, left, top + 0.5 * ratio);
  }

  #paintOverlay(now) {
    const { camera, theme, animations, swarm } = this;
    const isNear = camera.scale >= NEAR_SCALE;
    this.#onLayer(OVERLAY, (context) => {
      context.clearRect(0, 0, camera.width, camera.height);
      if (this.cursor && isNear) paintCursor(context, camera, theme, this.cursor.x, this.cursor.y);
      paintTrails(context, camera, theme, animations.trails, now, isNear, prefersReducedMotion());
    });
    if (isNear) this.#paintMoving(this.#contexts[OVERLAY], now);
    this.#paintHistory(isNear);
    const slot = this.selection.slot;
    if (slot < 0) return;
    const shift = (isNear && animations.at(slot, now)) || { dx: 0, dy: 0 };
    const x = swarm.xs[slot] + shift.dx;
    const y = swarm.ys[slot] + shift.dy;
    this.#onLayer(OVERLAY, (context) => paintSelection(context, camera, theme, x, y));
  }

  #paintMoving(context, now) {
    const { camera, swarm, animations } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    this.#sprites.prepare(Math.round(camera.scale * this.#ratio), this.theme);
    for (const slot of animations.movingSlots) {
      if (!swarm.isAlive(slot)) continue;
      const { dx, dy, turn, size } = animations.at(slot, now);
      const left = camera.screenX(swarm.xs[slot]) + dx * camera.scale;
      const top = camera.screenY(swarm.ys[slot]) - dy * camera.scale;
      if (left < -camera.scale || left > camera.width + camera.scale) continue;
      if (top < -camera.scale || top > camera.height + camera.scale) continue;
      const facing = swarm.facings[slot];
      this.#sprites.drawTurned(context, facing, left * this.#ratio, top * this.#ratio, turn, size);
    }
  }

  /** The ends of the path: the spawn, and the zergling at the step that is shown. */
  #paintHistory(isNear) {
    const { camera, theme } = this;
    const { history, past } = this.explorer;
    if (history?.first === 0 && history.path.size) {
      const { x, y } = history.origin;
      this.#onLayer(OVERLAY, (context) => paintStart(context, camera, theme, x, y));
    }
    if (!past) return;
    if (isNear) {
      const context = this.#contexts[OVERLAY];
      const [left, top] = [camera.screenX(past.x), camera.screenY(past.y)];
      context.setTransform(1, 0, 0, 1, 0, 0);
      this.#sprites.prepare(Math.round(camera.scale * this.#ratio), theme);
      this.#sprites.drawTurned(context, past.facing, left * this.#ratio, top * this.#ratio, 0, 1);
    }
    this.#onLayer(OVERLAY, (context) => paintPast(context, camera, theme, past, isNear));
  }

  #onLayer(layer, paint) {
    const context = this.#contexts[layer];
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    paint(context);
  }
}
