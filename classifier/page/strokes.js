// Makes a picture of strokes: lists of points [x, y] on a pad of PAD x PAD. The picture is computed here and not read
// from a canvas: browsers draw a little differently, and some change what is read, to protect against fingerprinting.

const [PAD, PEN] = [280, 20]; // side of the pad, and width of the pen on it
// Median over 2,000 test images of MNIST: the strokes are 0.114 times as wide as the longer side of the digit, ink
// included. That is 1 / 7.7 of the side of the line in the middle of the strokes.
const SIDES_PER_PEN = 7.7;
const LEAST_SIDE = 40; // a smaller drawing is taken for a dot and keeps its size
const DRAWN_SIDE = 100; // of a digit in the picture
const MARGIN = 20; // of paper around the ink

/** Return a picture of all strokes, with a pen whose width fits the size of the digits. */
function pictureOfDigits(strokes) {
  const { left, top, right, bottom } = boxOf(strokes.flat(), 0);
  const widths = strokes.map((points) => boxOf(points, 0)).map((box) => box.right - box.left);
  const side = Math.max(LEAST_SIDE, bottom - top, ...widths); // of a digit; several may be in a line
  const factor = DRAWN_SIDE / side;
  const pen = (side * factor) / SIDES_PER_PEN;
  const place = ([x, y]) => [(x - left) * factor + MARGIN + pen / 2, (y - top) * factor + MARGIN + pen / 2];
  const [width, height] = [right - left, bottom - top].map((length) => Math.ceil(length * factor + pen) + 2 * MARGIN);
  return rasterize(strokes.map((points) => points.map(place)), width, height, pen);
}

/** Return a picture of strokes with ink 255 on paper 0, and grey levels on the edges of the strokes. */
function rasterize(strokes, width, height, pen) {
  const values = new Uint8Array(width * height);
  const reach = pen / 2 + 0.5;
  for (const points of strokes) {
    points.forEach((end, index) => {
      const start = points[Math.max(0, index - 1)];
      const [dx, dy] = [end[0] - start[0], end[1] - start[1]];
      const { left, top, right, bottom } = boxOf([start, end], 0);
      for (let y = Math.max(0, Math.floor(top - reach)); y < Math.min(height, bottom + reach); y++) {
        for (let x = Math.max(0, Math.floor(left - reach)); x < Math.min(width, right + reach); x++) {
          const [px, py] = [x + 0.5 - start[0], y + 0.5 - start[1]];
          const along = Math.min(1, Math.max(0, (px * dx + py * dy) / (dx * dx + dy * dy || 1)));
          const level = Math.round(255 * Math.min(1, reach - Math.hypot(px - along * dx, py - along * dy)));
          values[y * width + x] = Math.max(values[y * width + x], level);
        }
      }
    });
  }
  return { width, height, values };
}
