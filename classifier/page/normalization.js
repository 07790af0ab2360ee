// Makes the images that the network sees from a picture: docs/predict.md specifies each step, and predict/normalization.py
// has the same steps with the same names. tests/predict/vectors.json has pictures that both must normalize alike.

const SIDE = 28; // of an image of MNIST
const BOX = 20; // of the digit in it
const CENTRE = 14; // pixel, from 0, on which the digit's centre of mass is
const MOST_SIDE = 400; // pixels of the reduced picture
const CELLS = 32; // of the coarse picture that the paper is fitted to, along the longer side
const ROUNDS = 15; // of the fit
const START = 0.1; // first weight of the cells that are not on the border
const LEAST_CONTRAST = 16; // grey levels between ink and paper
const LEAST_DEVIATIONS = 6; // of the noise
const INK = 0.4; // of the darkest stroke
const SPECK = 0.06; // of the largest piece
const APART = 0.3; // of the narrower piece
const TALL = 0.5; // of the tallest digit
const MOST_PICTURE = 2000;

/**
 * Return the digits of a picture, from left to right, as {image, box}: image has 28x28 grey levels, ink 255 on paper 0.
 * grey: grey levels, row by row.
 */
function normalize(grey, width, height) {
  const picture = reduce(grey, width, height, Math.ceil(Math.max(width, height) / MOST_SIDE));
  const ground = paper(picture);
  let ink = picture.values.map((value, index) => value - ground[index]);
  if (ink.reduce((sum, value) => sum + value ** 3, 0) <= 0) ink = ink.map((value) => -value);
  const smooth = blur({ ...picture, values: ink });
  const noise = 1.4826 * median(smooth.values.map(Math.abs));
  const peak = largest(blur(smooth).values);
  if (peak < Math.max(LEAST_CONTRAST, LEAST_DEVIATIONS * noise)) return [];
  const mask = smooth.values.map((value) => Number(value >= INK * peak));
  return group(pieces({ ...picture, values: mask })).map((members) => {
    const own = new Float64Array(mask.length);
    let sum = 0;
    for (const place of members) {
      own[place] = 1;
      sum += ink[place];
    }
    const near = blur({ ...picture, values: own }).values;
    const level = (value, place) => (near[place] > 0 ? Math.min(1, Math.max(0, (value * members.length) / sum)) : 0);
    return { image: fit({ ...picture, values: ink.map(level) }) };
  });
}

/** Return the mean of each block of factor x factor pixels; blocks at the right and the bottom may be smaller. */
function reduce(values, width, height, factor) {
  const [columns, rows] = [Math.ceil(width / factor), Math.ceil(height / factor)];
  const result = new Float64Array(columns * rows);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      result[Math.floor(y / factor) * columns + Math.floor(x / factor)] += values[y * width + x];
    }
  }
  const size = (block, whole) => Math.min(factor, whole - block * factor);
  const means = result.map((sum, place) => {
    return sum / (size(place % columns, width) * size(Math.floor(place / columns), height));
  });
  return { width: columns, height: rows, values: means };
}

/** Return the grey level of the paper at each pixel: a surface of second order, fitted so that ink counts little. */
function paper({ width, height, values }) {
  const cells = reduce(values, width, height, Math.ceil(Math.max(width, height) / CELLS));
  const basis = terms(cells.width, cells.height);
  let weights = cells.values.map((_, place) => {
    const [x, y] = [place % cells.width, Math.floor(place / cells.width)];
    return Math.min(x, y, cells.width - 1 - x, cells.height - 1 - y) < 2 ? 1 : START;
  });
  let coefficients;
  for (let round = 0; round < ROUNDS; round++) {
    const sums = basis.map((one, index) => [
      ...basis.map((other, column) => total((place) => weights[place] * one[place] * other[place]) + 1e-6 * (index === column)),
      total((place) => weights[place] * one[place] * cells.values[place]),
    ]);
    coefficients = solve(sums);
    const rest = cells.values.map((value, place) => value - surface(basis, coefficients, place));
    const scale = Math.max(1, median(rest.map(Math.abs)));
    weights = rest.map((each) => 1 / (1 + (each / scale) ** 2));
  }
  const fine = terms(width, height);
  return values.map((_, place) => surface(fine, coefficients, place));

  function total(term) {
    let sum = 0;
    for (let place = 0; place < cells.values.length; place++) sum += term(place);
    return sum;
  }
}

const surface = (basis, coefficients, place) =>
  coefficients.reduce((sum, coefficient, index) => sum + coefficient * basis[index][place], 0);

/** Return 1, x, y, x^2, xy and y^2 of each pixel, with x and y from -1 to 1. */
function terms(width, height) {
  const basis = Array.from({ length: 6 }, () => new Float64Array(width * height));
  for (let place = 0; place < width * height; place++) {
    const x = (2 * (place % width) + 1) / width - 1;
    const y = (2 * Math.floor(place / width) + 1) / height - 1;
    [1, x, y, x * x, x * y, y * y].forEach((term, index) => (basis[index][place] = term));
  }
  return basis;
}

/** Solve linear equations, rows of coefficients and the right side, by elimination with pivoting. */
function solve(rows) {
  rows.forEach((_, index) => {
    const pivot = rows.slice(index).reduce((best, row) => (Math.abs(row[index]) > Math.abs(best[index]) ? row : best));
    rows[rows.indexOf(pivot)] = rows[index];
    rows[index] = pivot.map((value) => value / pivot[index]);
    rows = rows.map((row, other) =>
      other === index ? row : row.map((value, column) => value - row[index] * rows[index][column]),
    );
  });
  return rows.map((row) => row[row.length - 1]);
}

/** Return the mean of each pixel and its neighbours, up to nine. */
function blur({ width, height, values }) {
  const across = values.map((value, place) => {
    const x = place % width;
    const [left, right] = [x > 0, x < width - 1];
    return (value + (left ? values[place - 1] : 0) + (right ? values[place + 1] : 0)) / (1 + left + right);
  });
  const both = across.map((value, place) => {
    const [above, below] = [place >= width, place < width * (height - 1)];
    return (value + (above ? across[place - width] : 0) + (below ? across[place + width] : 0)) / (1 + above + below);
  });
  return { width, height, values: both };
}

function median(values) {
  const sorted = values.slice().sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const largest = (values) => values.reduce((larger, value) => Math.max(larger, value));

/** Return the pieces of ink, connected along sides or corners, as {places, left, right, top, bottom}. */
function pieces({ width, height, values }) {
  const waiting = values.slice();
  const found = [];
  waiting.forEach((_, first) => {
    if (!waiting[first]) return;
    const places = [first];
    waiting[first] = 0;
    const box = { left: width, right: 0, top: height, bottom: 0 };
    for (let index = 0; index < places.length; index++) {
      const [x, y] = [places[index] % width, Math.floor(places[index] / width)];
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y + 1);
      for (let nearY = Math.max(0, y - 1); nearY <= Math.min(height - 1, y + 1); nearY++) {
        for (let nearX = Math.max(0, x - 1); nearX <= Math.min(width - 1, x + 1); nearX++) {
          const near = nearY * width + nearX;
          if (waiting[near]) places.push(near);
          waiting[near] = 0;
        }
      }
    }
    found.push({ places, ...box });
  });
  return found;
}

/** Return the pixels of each digit, from left to right; specks are in none. */
function group(all) {
  const most = Math.max(...all.map(({ places }) => places.length));
  const found = all.filter(({ places }) => places.length >= Math.max(1, SPECK * most));
  found.sort((one, other) => one.left - other.left); // a stable sort: of equal ones the first found stays first
  while (merge(found));
  const height = ({ top, bottom }) => bottom - top;
  const tallest = Math.max(...found.map(height));
  const tall = found.filter((each) => height(each) >= TALL * tallest);
  return tall.length === 1 ? [found.flatMap(({ places }) => places)] : tall.map(({ places }) => places);
}

/** Join the first two pieces of which one is above the other, and return whether there were any. */
function merge(found) {
  for (const [index, one] of found.entries()) {
    for (const other of found.slice(index + 1)) {
      const shared = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      if (shared > APART * Math.min(one.right - one.left, other.right - other.left)) {
        found[index] = {
          places: [...one.places, ...other.places],
          left: Math.min(one.left, other.left),
          right: Math.max(one.right, other.right),
          top: Math.min(one.top, other.top),
          bottom: Math.max(one.bottom, other.bottom),
        };
        found.splice(found.indexOf(other), 1);
        return true;
      }
    }
  }
  return false;
}

/** Scale ink, 0 to 1, into the box of 20x20, and move its centre of mass to the centre: 28x28 grey levels. */
function fit({ width, height, values }) {
  const inked = [...values.keys()].filter((place) => values[place] > 0);
  const [xs, ys] = [inked.map((place) => place % width), inked.map((place) => Math.floor(place / width))];
  const [left, top] = [xs.reduce((a, b) => Math.min(a, b)), ys.reduce((a, b) => Math.min(a, b))];
  const [digitWidth, digitHeight] = [largest(xs) + 1 - left, largest(ys) + 1 - top];
  const longer = Math.max(digitWidth, digitHeight);
  const [smallWidth, smallHeight] = [digitWidth, digitHeight].map((size) => Math.max(1, Math.floor((BOX * size) / longer + 0.5)));
  const digit = new Float64Array(digitWidth * digitHeight);
  inked.forEach((place, index) => (digit[(ys[index] - top) * digitWidth + xs[index] - left] = values[place]));
  const small = resample(digit, digitWidth, digitHeight, smallWidth, smallHeight);
  const most = largest(small);
  const sum = small.reduce((one, other) => one + other);
  const start = (coordinate) => {
    const moment = small.reduce((all, value, place) => all + value * coordinate(place), 0);
    return Math.floor(CENTRE - moment / sum + 0.5);
  };
  const column = (place) => place % smallWidth;
  const row = (place) => Math.floor(place / smallWidth);
  const [startX, startY] = [start(column), start(row)];
  const image = new Uint8Array(SIDE * SIDE);
  small.forEach((value, place) => {
    const [x, y] = [startX + column(place), startY + row(place)];
    if (x >= 0 && x < SIDE && y >= 0 && y < SIDE) image[y * SIDE + x] = Math.floor((255 * value) / most + 0.5);
  });
  return image;
}

/** Return a picture with new sides: each new pixel is the mean of the area that it covers. */
function resample(values, width, height, newWidth, newHeight) {
  const [columns, rows] = [shares(width, newWidth), shares(height, newHeight)];
  const across = new Float64Array(newWidth * height);
  columns.forEach(([to, from, share]) => {
    for (let y = 0; y < height; y++) across[y * newWidth + to] += share * values[y * width + from];
  });
  const result = new Float64Array(newWidth * newHeight);
  rows.forEach(([to, from, share]) => {
    for (let x = 0; x < newWidth; x++) result[to * newWidth + x] += share * across[from * newWidth + x];
  });
  return result;
}

/** Return [to, from, share]: the share of each of `size` pixels in the mean that is each of `target` pixels. */
function shares(size, target) {
  const found = [];
  for (let to = 0; to < target; to++) {
    const [start, end] = [(to * size) / target, ((to + 1) * size) / target];
    for (let from = Math.floor(start); from < Math.min(size, Math.ceil(end)); from++) {
      const overlap = Math.min(end, from + 1) - Math.max(start, from);
      if (overlap > 0) found.push([to, from, (overlap * target) / size]);
    }
  }
  return found;
}
