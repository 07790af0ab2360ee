// Makes the images that the network sees: of digits by the steps of predict/digits.py, which has the reasons for these
// numbers, and of other data sets by resizing. A picture is {width, height, values}, row by row.

const [SIDE, BOX, CENTRE] = [28, 20, 14]; // of an image of MNIST, of the digit in it, and of its centre of mass
const MOST_SIDE = 400; // pixels of the longer side that the steps work on
const [CELLS, REACH, ROUNDS] = [32, 5, 5]; // of the estimate of the paper: cells along the longer side, their radius
const LEAST_CONTRAST = 16; // grey levels between ink and paper
const [INK, FAINTEST] = [0.41, 0.1]; // of the darkest stroke, of the mean ink
const [SPECK, SHARED, TALL] = [0.06, 0.3, 0.5]; // of the largest piece, the narrower piece's width, the tallest digit
const [LINK, APART, WIDEST] = [0.15, 0.05, 1.2]; // of the darkest stroke, of the tallest piece, of a digit's height

/**
 * Return the digits of a grey picture, from left to right: an image of 28x28 grey levels with ink 255 on paper 0, and
 * whether the digit is stacked: made of pieces one above the other.
 */
function normalize(grey) {
  const factor = Math.ceil(Math.max(grey.width, grey.height) / MOST_SIDE);
  const picture = reduce(grey, factor);
  const paper = paperOf(picture).values;
  let ink = replace(picture, (value, place) => value - paper[place]);
  if (ink.values.reduce((sum, value) => sum + value ** 3, 0) < 0) ink = replace(ink, (value) => -value);
  const smooth = blur(ink);
  const peak = largest(blur(smooth).values);
  if (peak < LEAST_CONTRAST) return [];
  const [mask, faint] = [INK, LINK].map((share) => replace(smooth, (value) => Number(value >= share * peak)));
  const digits = digitsOf(link(mask, faint));
  return digits.map((digit) => {
    return { image: fit(strength(ink, smooth, digit)), stacked: digit.firstEnd <= digit.lastStart };
  });
}

const replace = (picture, change) => ({ ...picture, values: new Float64Array(picture.values).map(change) });
const pointAt = ({ width }, place) => [place % width, Math.floor(place / width)];

function median(values) {
  const sorted = values.slice().sort();
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

// How much an old pixel counts in a new one, by the distance of their centres and the new one's size in old pixels:
const byArea = (distance, size) => Math.min(1, size, (1 + size) / 2 - distance);
const linearly = (distance, size) => 1 - distance / Math.max(1, size); // as Pillow does it

/**
 * Return a picture whose pixels are weighted means of those of another one; a weight below 0 is 0.
 * across, down: [how many new pixels, the size of each in old pixels, where the first begins].
 */
function resample(picture, across, down, weightOf) {
  return meansOfRows(meansOfRows(picture, down, weightOf), across, weightOf);
}

/** Return a picture with new rows, turned over its diagonal: the new rows are columns. */
function meansOfRows({ width, height, values }, [count, size, start = 0], weightOf) {
  const means = new Float64Array(count * width);
  for (let row = 0; row < count; row++) {
    const distanceTo = (old) => Math.abs(old + 0.5 - start - (row + 0.5) * size);
    const weights = new Float64Array(height).map((_, old) => Math.max(0, weightOf(distanceTo(old), size)));
    const total = sum(weights);
    weights.forEach((weight, old) => {
      if (!weight) return;
      for (let x = 0; x < width; x++) means[x * count + row] += (weight / total) * values[old * width + x];
    });
  }
  return { width: count, height: width, values: means };
}

/** Replace each block of factor x factor pixels by its mean; blocks at the right and at the bottom may be smaller. */
function reduce(picture, factor) {
  const [width, height] = [Math.ceil(picture.width / factor), Math.ceil(picture.height / factor)];
  return resample(picture, [width, factor], [height, factor], byArea);
}

/** Replace each value by the mean of the square of 2 * reach + 1 values around it. */
function blur(picture, reach = 1) {
  return resample(picture, [picture.width, 1], [picture.height, 1], (distance) => Number(distance <= reach));
}

/** Estimate the grey of the paper at each pixel: a local mean in which ink has little weight. */
function paperOf(picture) {
  const factor = Math.ceil(Math.max(picture.width, picture.height) / CELLS);
  const cells = reduce(picture, factor);
  const border = cells.values.filter((_, place) => {
    const [x, y] = pointAt(cells, place);
    return Math.min(x, y, cells.width - 1 - x, cells.height - 1 - y) < 2;
  });
  let paper = { ...cells, values: cells.values.slice().fill(median(border)) };
  for (let round = 0; round < ROUNDS; round++) {
    const distances = cells.values.map((value, place) => Math.abs(value - paper.values[place]));
    const unit = Math.max(1, median(distances));
    const weights = replace(cells, (_, place) => (1 + (distances[place] / unit) ** 2) ** -2);
    const weighted = blur(replace(cells, (value, place) => value * weights.values[place]), REACH);
    const total = blur(weights, REACH).values;
    paper = replace(weighted, (value, place) => value / total[place]);
  }
  return resample(paper, [picture.width, 1 / factor], [picture.height, 1 / factor], linearly);
}

/** Return {left, top, right, bottom} of points [x, y], each of which has a size. */
function boxOf(points, size = 1) {
  const [xs, ys] = [0, 1].map((axis) => Float64Array.from(points, (point) => point[axis]));
  const [left, top] = [xs, ys].map((ends) => ends.reduce((least, end) => Math.min(least, end)));
  return { left, top, right: largest(xs) + size, bottom: largest(ys) + size };
}

/** Add to the mask of the ink the fainter strokes that link the pieces of a digit, unless they reach the border. */
function link(mask, faint) {
  const tallest = Math.max(...piecesOf(mask).map((points) => boxOf(points)).map(({ top, bottom }) => bottom - top));
  const wider = blur(mask, Math.floor(APART * tallest + 0.5));
  const apart = new Float64Array(mask.values.length);
  piecesOf(wider).forEach((points, piece) => points.forEach(([x, y]) => (apart[y * mask.width + x] = piece)));
  const linked = replace(mask, (value) => value);
  for (const points of piecesOf(faint)) {
    const { left, top, right, bottom } = boxOf(points);
    const inside = Math.min(left, top) > 0 && right < mask.width && bottom < mask.height;
    const places = points.map(([x, y]) => y * mask.width + x);
    const pieces = new Set(places.filter((place) => mask.values[place]).map((place) => apart[place]));
    if (!inside || right - left > WIDEST * (bottom - top) || pieces.size < 2) continue;
    for (const place of places) linked.values[place] = 1;
  }
  return linked;
}

/** Return the digits of a mask, from left to right: points, box, and the first end and last start of their pieces. */
function digitsOf(mask) {
  const pieces = piecesOf(mask).map((points) => {
    const box = boxOf(points);
    return { points, ...box, firstEnd: box.bottom, lastStart: box.top };
  });
  const most = Math.max(...pieces.map(({ points }) => points.length));
  const digits = [];
  for (const piece of pieces.sort((one, other) => one.left - other.left)) {
    if (piece.points.length < SPECK * most) continue;
    const last = digits.at(-1) ?? { left: 0, right: 0 };
    const narrower = Math.min(last.right - last.left, piece.right - piece.left);
    if (Math.min(last.right, piece.right) - piece.left > SHARED * narrower) {
      const points = digits.pop().points.concat(piece.points);
      const [firstEnd, lastStart] = [Math.min(last.firstEnd, piece.bottom), Math.max(last.lastStart, piece.top)];
      digits.push({ points, ...boxOf(points), firstEnd, lastStart });
    } else digits.push(piece);
  }
  const tallest = Math.max(...digits.map(({ top, bottom }) => bottom - top));
  return digits.filter(({ top, bottom }) => bottom - top >= TALL * tallest);
}

/** Return the pieces of a mask: lists of points that touch along sides or corners. */
function piecesOf({ width, height, values }) {
  const waiting = values.slice();
  const pieces = [];
  for (let place = 0; place < waiting.length; place++) {
    const piece = waiting[place] ? [pointAt({ width }, place)] : [];
    waiting[place] = 0;
    for (const [x, y] of piece) {
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          if (waiting[row * width + column]) piece.push([column, row]);
          waiting[row * width + column] = 0;
        }
      }
    }
    if (piece.length) pieces.push(piece);
  }
  return pieces;
}

/** Return the ink, 0 to 1, of a digit and of the pixels that touch it. */
function strength(ink, smooth, { points }) {
  const places = points.map(([x, y]) => y * ink.width + x);
  const mean = sum(places.map((place) => smooth.values[place])) / places.length;
  const mask = new Float64Array(ink.values.length);
  for (const place of places) mask[place] = 1;
  const near = blur({ ...ink, values: mask }).values;
  return replace(ink, (value, place) => (near[place] && value / mean >= FAINTEST ? Math.min(value / mean, 1) : 0));
}

/** Scale ink, 0 to 1, into a box of 20x20 and put its centre of mass at the centre: 28x28 grey levels. */
function fit(ink) {
  const inked = [...ink.values.keys()].filter((place) => ink.values[place]);
  const { left, top, right, bottom } = boxOf(inked.map((place) => pointAt(ink, place)));
  const [width, height] = [right - left, bottom - top];
  const sides = [width, height].map((side) => Math.max(1, Math.floor((BOX * side) / Math.max(width, height) + 0.5)));
  const digit = resample(ink, [sides[0], width / sides[0], left], [sides[1], height / sides[1], top], byArea);
  const [most, total] = [largest(digit.values), sum(digit.values)];
  // Half a pixel and a little more, so that rounding errors do not decide about a symmetric digit.
  const first = [0, 1].map((axis) => {
    const moment = sum(digit.values.map((value, place) => value * pointAt(digit, place)[axis]));
    return Math.floor(CENTRE - moment / total + 0.500001);
  });
  const image = new Uint8Array(SIDE * SIDE);
  digit.values.forEach((value, place) => {
    const [x, y] = pointAt(digit, place).map((coordinate, axis) => first[axis] + coordinate);
    if (Math.min(x, y) >= 0 && Math.max(x, y) < SIDE) image[y * SIDE + x] = Math.floor((255 * value) / most + 0.5);
  });
  return image;
}

/**
 * Return pictures of the grey levels, or of three colours, of {width, height, data}: RGBA, which is laid on white, and
 * on black if it would be blank on white.
 */
function planesOf({ width, height, data }, channels) {
  const laidOn = (paper) => [0, 1, 2].map((colour) => {
    return new Uint8Array(width * height).map((_, place) => {
      const opacity = data[4 * place + 3];
      return Math.floor((data[4 * place + colour] * opacity + paper * (255 - opacity) + 127) / 255);
    });
  });
  const onWhite = laidOn(255);
  const inked = onWhite.some((levels) => levels.some((level) => level <= 255 - LEAST_CONTRAST));
  const [red, green, blue] = inked ? onWhite : laidOn(0);
  const luminance = (level, place) => (19595 * level + 38470 * green[place] + 7471 * blue[place] + 32768) >> 16;
  return (channels === 1 ? [red.map(luminance)] : [red, green, blue]).map((values) => ({ width, height, values }));
}

/** Return the levels, 0 to 255, of grey or colour planes squashed into the shape of an image. */
function squash(planes, [height, width]) {
  const squashed = planes.map((plane) => {
    return resample(plane, [width, plane.width / width], [height, plane.height / height], linearly).values;
  });
  const levels = new Uint8Array(height * width * planes.length);
  return levels.map((_, index) => Math.round(squashed[index % planes.length][Math.floor(index / planes.length)]));
}
