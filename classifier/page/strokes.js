// Makes a picture of strokes: lists of points [x, y] on a pad of PAD x PAD. The picture is computed here and not read
// from a canvas: browsers draw a little differently, and some change what is read, to protect against fingerprinting.

const PAD = 280;
const PEN = 20; // width of the pen on the pad
// Median over 2,000 test images of MNIST: the strokes are 0.114 times as wide as the longer side of the digit, ink
// included. That is 1 / 7.7 of the side of the line in the middle of the strokes.
const SIDES_PER_PEN = 7.7;
const LEAST_SIDE = 40; // a smaller drawing is taken for a dot and keeps its size
const DRAWN_SIDE = 100; // of a digit in the picture, five times as large as in the image of it
const MOST_DRAWN = 340; // of a line of digits in the picture
const MARGIN = 20; // of paper around the ink

/** Return a picture {width, height, grey} of all strokes, with a pen whose width fits the size of the digits. */
function pictureOfDigits(strokes) {
  const points = strokes.flat();
  const box = boxOf(points);
  const longest = strokes.map(boxOf).map(({ width, height }) => Math.max(width, height));
  const side = Math.max(LEAST_SIDE, box.height, ...longest); // of a digit; several may be in a line
  const factor = Math.min(DRAWN_SIDE / side, MOST_DRAWN / Math.max(box.width, box.height, LEAST_SIDE));
  const pen = (side * factor) / SIDES_PER_PEN;
  const place = ([x, y]) => [(x - box.left) * factor + MARGIN + pen / 2, (y - box.top) * factor + MARGIN + pen / 2];
  const [width, height] = [box.width, box.height].map((each) => Math.ceil(each * factor + pen) + 2 * MARGIN);
  return rasterize(strokes.map((stroke) => stroke.map(place)), width, height, pen);
}

/** Return a picture of the whole pad. */
function pictureOfPad(strokes) {
  return rasterize(strokes, PAD, PAD, PEN);
}

function boxOf(points) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return { left, top, width: Math.max(...xs) - left, height: Math.max(...ys) - top };
}

/** Return {width, height, grey} with ink 255 on paper 0, and grey levels on the edges of the strokes. */
function rasterize(strokes, width, height, pen) {
  const grey = new Uint8Array(width * height);
  const reach = pen / 2 + 0.5;
  for (const stroke of strokes) {
    stroke.forEach((end, index) => {
      const start = stroke[Math.max(0, index - 1)];
      const [dx, dy] = [end[0] - start[0], end[1] - start[1]];
      const square = dx * dx + dy * dy || 1;
      const [left, right] = [Math.min(start[0], end[0]) - reach, Math.max(start[0], end[0]) + reach];
      const [top, bottom] = [Math.min(start[1], end[1]) - reach, Math.max(start[1], end[1]) + reach];
      for (let y = Math.max(0, Math.floor(top)); y < Math.min(height, bottom); y++) {
        for (let x = Math.max(0, Math.floor(left)); x < Math.min(width, right); x++) {
          const [px, py] = [x + 0.5 - start[0], y + 0.5 - start[1]];
          const along = Math.min(1, Math.max(0, (px * dx + py * dy) / square));
          const level = 255 * Math.min(1, reach - Math.hypot(px - along * dx, py - along * dy));
          const place = y * width + x;
          if (level > grey[place]) grey[place] = Math.round(level);
        }
      }
    });
  }
  return { width, height, grey };
}
