/** Draws zerglings from above, as images that are rendered once for each size and facing. */

const QUARTER = Math.PI / 2;
const DETAIL_SIZE = 18; // device pixels per step from which limbs and eyes are drawn
const BODY_ONLY_SCALE = 1.2; // the body's scale without limbs

/** Draw a zergling at the context's origin, facing up, one step large. */
function render(context, shell, body, theme, isDetailed) {
  context.lineCap = "round";
  context.lineJoin = "round";
  if (isDetailed) drawLimbs(context, shell);
  else context.scale(BODY_ONLY_SCALE, BODY_ONLY_SCALE);
  // Body: a drop, wide in front.
  context.fillStyle = body;
  context.beginPath();
  context.moveTo(0, 0.44);
  context.bezierCurveTo(-0.13, 0.34, -0.29, 0.22, -0.27, 0.0);
  context.bezierCurveTo(-0.26, -0.16, -0.12, -0.22, 0, -0.22);
  context.bezierCurveTo(0.12, -0.22, 0.26, -0.16, 0.27, 0.0);
  context.bezierCurveTo(0.29, 0.22, 0.13, 0.34, 0, 0.44);
  context.fill();
  if (isDetailed) drawPlates(context, shell);
  // Head.
  context.fillStyle = isDetailed ? body : shell;
  context.beginPath();
  context.ellipse(0, -0.24, 0.17, 0.16, 0, 0, 2 * Math.PI);
  context.fill();
  if (isDetailed) drawFace(context, shell, theme);
}

function drawLimbs(context, shell) {
  context.strokeStyle = shell;
  context.lineWidth = 0.055;
  for (const side of [-1, 1]) {
    context.beginPath();
    context.moveTo(side * 0.2, 0.02);
    context.quadraticCurveTo(side * 0.36, -0.02, side * 0.4, -0.1);
    context.moveTo(side * 0.2, 0.16);
    context.quadraticCurveTo(side * 0.36, 0.18, side * 0.4, 0.28);
    context.stroke();
    // Arm: a scythe whose tip is in front of the head.
    context.beginPath();
    context.moveTo(side * 0.15, -0.16);
    context.quadraticCurveTo(side * 0.4, -0.26, side * 0.22, -0.47);
    context.stroke();
  }
}

function drawPlates(context, shell) {
  context.strokeStyle = shell;
  context.lineWidth = 0.045;
  for (const [y, half] of [[0.02, 0.15], [0.13, 0.13], [0.23, 0.09]]) {
    context.beginPath();
    context.moveTo(-half, y);
    context.quadraticCurveTo(0, y + 0.07, half, y);
    context.stroke();
  }
}

function drawFace(context, shell, theme) {
  context.strokeStyle = shell;
  context.lineWidth = 0.035;
  context.stroke(); // around the head
  for (const side of [-1, 1]) {
    context.fillStyle = theme.eye;
    context.beginPath();
    context.arc(side * 0.085, -0.28, 0.068, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = theme.pupil;
    context.beginPath();
    context.arc(side * 0.08, -0.305, 0.036, 0, 2 * Math.PI);
    context.fill();
  }
}

export class Sprites {
  #images = [];
  #renderedFor = "";

  /** Render the images for a size in device pixels, unless they exist. */
  prepare(size, theme) {
    const wanted = `${size} ${theme.facings.join()} ${theme.shells.join()}`;
    if (this.#renderedFor === wanted) return;
    this.#renderedFor = wanted;
    this.#images = theme.facings.map((body, facing) => {
      const canvas = new OffscreenCanvas(size, size);
      const context = canvas.getContext("2d");
      context.translate(size / 2, size / 2);
      context.scale(size, size);
      context.rotate(facing * QUARTER);
      render(context, theme.shells[facing], body, theme, size >= DETAIL_SIZE);
      return canvas;
    });
  }

  /** Draw a zergling centred at a point, in device pixels. */
  draw(context, facing, left, top) {
    const image = this.#images[facing];
    const half = image.width / 2;
    context.drawImage(image, Math.round(left - half), Math.round(top - half));
  }

  /** Draw a zergling during an animation: turned by `quarters` from its facing, and scaled. */
  drawTurned(context, facing, left, top, quarters, size) {
    const image = this.#images[facing];
    const half = (image.width * size) / 2;
    context.save();
    context.translate(left, top);
    context.rotate(quarters * QUARTER);
    context.drawImage(image, -half, -half, 2 * half, 2 * half);
    context.restore();
  }
}
