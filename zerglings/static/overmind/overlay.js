/** Paints the animated layer: trails, pulses, the selection, the ends of its path, the cursor. */

import { TRAIL_MILLISECONDS } from "./animations.js";

const PULSE_MILLISECONDS = 900;

/** Trails and pulses of recent moves; `isNear` tells whether sprites are drawn. */
export function paintTrails(context, camera, theme, trails, now, isNear, isReduced) {
  context.lineCap = "round";
  for (const trail of trails) {
    const left = camera.screenX(trail.x);
    const top = camera.screenY(trail.y);
    const reach = (Math.abs(trail.dx) + Math.abs(trail.dy) + 1) * camera.scale + 20;
    if (left < -reach || left > camera.width + reach) continue;
    if (top < -reach || top > camera.height + reach) continue;
    const age = now - trail.start;
    const fade = isReduced ? 0.6 : 1 - age / TRAIL_MILLISECONDS;
    if (isNear && (trail.dx || trail.dy)) paintTrail(context, camera, theme, trail, fade);
    if (age < PULSE_MILLISECONDS && !isReduced) {
      paintPulse(context, camera, theme, trail, age / PULSE_MILLISECONDS, isNear);
    }
  }
  context.globalAlpha = 1;
}

function paintTrail(context, camera, theme, trail, fade) {
  context.globalAlpha = 0.46 * fade ** 1.5;
  context.strokeStyle = theme.facings[trail.facing];
  context.lineWidth = Math.max(2, camera.scale * 0.22);
  context.beginPath();
  context.moveTo(camera.screenX(trail.x + trail.dx), camera.screenY(trail.y + trail.dy));
  context.lineTo(camera.screenX(trail.x), camera.screenY(trail.y));
  context.stroke();
}

function paintPulse(context, camera, theme, trail, part, isNear) {
  const radius = isNear ? camera.scale * (0.42 + 0.26 * part) : 3 + 7 * part;
  context.globalAlpha = (1 - part) * (isNear ? 0.4 : 0.75);
  context.strokeStyle = trail.isNew || !isNear ? theme.glow : theme.facings[trail.facing];
  context.lineWidth = isNear ? Math.max(1.2, camera.scale * 0.04) : 1.5;
  context.beginPath();
  context.arc(camera.screenX(trail.x), camera.screenY(trail.y), radius, 0, 2 * Math.PI);
  context.stroke();
}

/** A ring around the selected zergling, visible on any background. */
export function paintSelection(context, camera, theme, x, y) {
  const left = camera.screenX(x);
  const top = camera.screenY(y);
  const radius = Math.max(11, camera.scale * 0.58);
  for (const [colour, width] of [[theme.paper, 6], [theme.ink, 2.5]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    for (let corner = 0; corner < 4; corner += 1) {
      const middle = (corner + 0.5) * (Math.PI / 2);
      context.moveTo(left + radius * Math.cos(middle - 0.5), top + radius * Math.sin(middle - 0.5));
      context.arc(left, top, radius, middle - 0.5, middle + 0.5);
    }
    context.stroke();
  }
}

/** A dot where the selected zergling was spawned. */
export function paintStart(context, camera, theme, x, y) {
  context.fillStyle = theme.paper;
  context.strokeStyle = theme.ink;
  context.lineWidth = 2;
  context.beginPath();
  const radius = Math.max(4, camera.scale * 0.14);
  context.arc(camera.screenX(x), camera.screenY(y), radius, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
}

/** A circle around the selected zergling at an earlier step; from far away a dot in it too. */
export function paintPast(context, camera, theme, { x, y, facing }, isNear) {
  const left = camera.screenX(x);
  const top = camera.screenY(y);
  if (!isNear) {
    context.fillStyle = theme.facings[facing];
    context.beginPath();
    context.arc(left, top, 4, 0, 2 * Math.PI);
    context.fill();
  }
  for (const [colour, width] of [[theme.paper, 6], [theme.accent, 3]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.arc(left, top, Math.max(11, camera.scale * 0.58), 0, 2 * Math.PI);
    context.stroke();
  }
}

/** The square under the pointer. */
export function paintCursor(context, camera, theme, x, y) {
  const size = camera.scale;
  context.globalAlpha = 0.55;
  context.strokeStyle = theme.muted;
  context.lineWidth = 1;
  context.strokeRect(
    Math.round(camera.screenX(x) - size / 2) + 0.5,
    Math.round(camera.screenY(y) - size / 2) + 0.5,
    Math.round(size),
    Math.round(size),
  );
  context.globalAlpha = 1;
}
