/** Paints the background: grid lines, axes, coordinate labels, and the edge of the grid. */

import { EDGE } from "./camera.js";

const LEAST_GAP = 11; // CSS pixels between lines
const FULL_GAP = 60; // CSS pixels from which the finest lines have full strength
const LABEL_GAP = 76;
const DIGIT = 7; // CSS pixels, the width of a digit

export function paintGrid(context, camera, theme) {
  context.fillStyle = theme.beyond;
  context.fillRect(0, 0, camera.width, camera.height);
  const left = Math.max(0, camera.screenX(-EDGE) - camera.scale / 2);
  const right = Math.min(camera.width, camera.screenX(EDGE) + camera.scale / 2);
  const top = Math.max(0, camera.screenY(EDGE) - camera.scale / 2);
  const bottom = Math.min(camera.height, camera.screenY(-EDGE) + camera.scale / 2);
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  context.fillStyle = theme.paper;
  context.fillRect(left, top, right - left, bottom - top);
  paintAxes(context, camera, theme);
  const fine = Math.max(1, 10 ** Math.ceil(Math.log10(LEAST_GAP / camera.scale)));
  const strength = Math.min(1, (fine * camera.scale - LEAST_GAP) / (FULL_GAP - LEAST_GAP));
  paintLines(context, camera, theme, fine, 0.25 + 0.45 * strength);
  paintLines(context, camera, theme, fine * 10, 1);
  context.restore();
  paintLabels(context, camera, theme);
}

function paintAxes(context, camera, theme) {
  const width = Math.max(1, camera.scale);
  context.fillStyle = theme.axis;
  context.fillRect(camera.screenX(0) - width / 2, 0, width, camera.height);
  context.fillRect(0, camera.screenY(0) - width / 2, camera.width, width);
}

function paintLines(context, camera, theme, step, alpha) {
  context.strokeStyle = theme.line;
  context.globalAlpha = alpha;
  context.lineWidth = 1;
  context.beginPath();
  // A location is the centre of a square, so the lines are half a step beside it.
  for (const x of multiples(camera.box(1).minX, camera.box(1).maxX, step)) {
    const left = Math.round(camera.screenX(x) - camera.scale / 2) + 0.5;
    context.moveTo(left, 0);
    context.lineTo(left, camera.height);
  }
  for (const y of multiples(camera.box(1).minY, camera.box(1).maxY, step)) {
    const top = Math.round(camera.screenY(y) + camera.scale / 2) + 0.5;
    context.moveTo(0, top);
    context.lineTo(camera.width, top);
  }
  context.stroke();
  context.globalAlpha = 1;
}

function paintLabels(context, camera, theme) {
  const { minX, maxX, minY, maxY } = camera.box(1);
  const far = Math.max(...[minX, maxX, minY, maxY].map(Math.abs));
  const gap = Math.max(LABEL_GAP, label(far).length * DIGIT + 32);
  context.fillStyle = theme.muted;
  context.font = `11px ${theme.font}`;
  context.textBaseline = "middle";
  context.textAlign = "center";
  const stepX = roundStep(gap / camera.scale);
  for (const x of multiples(minX, maxX, stepX)) {
    const left = camera.screenX(x);
    if (left > gap / 2) context.fillText(label(x), left, camera.height - 12);
  }
  context.textAlign = "left";
  for (const y of multiples(minY, maxY, roundStep(LABEL_GAP / camera.scale))) {
    const top = camera.screenY(y);
    if (top < camera.height - 28) context.fillText(label(y), 8, top);
  }
}

function* multiples(least, most, step) {
  const first = Math.ceil(least / step);
  const last = Math.floor(most / step);
  for (let n = first; n <= last; n += 1) yield n * step;
}

/** The smallest of 1, 2, 5, 10, 20, … that is at least `least`. */
function roundStep(least) {
  const power = Math.max(1, 10 ** Math.floor(Math.log10(Math.max(1, least))));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least) ?? power * 10;
}

function label(value) {
  return value < 0 ? `−${-value}` : `${value}`;
}
