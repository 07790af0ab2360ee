// Makes the images that the network sees from a picture. docs/predict.md specifies the steps for digits, in this order
// and with these numbers; tests/predict/vectors.json has pictures whose images must come out of them.

const SIDE = 28; // of an image of MNIST
const BOX = 20; // of the digit in it
const CENTRE = 14; // the row and the column, from 0, of the digit's centre of mass
const MOST_SIDE = 400; // pixels of the longer side that the steps work on
const CELLS = 32; // along the longer side, in which the paper is estimated
const REACH = 5; // cells in each direction of which the paper is the mean
const ROUNDS = 5; // of the estimate
const LEAST_CONTRAST = 16; // grey levels between ink and paper
const INK = 0.41; // of the darkest stroke
const FAINTEST = 0.1; // of the mean ink
const SPECK = 0.06; // of the largest piece
const SHARED = 0.3; // of the width of the narrower piece
const TALL = 0.5; // of the tallest digit

/** Lay a colour value on white paper, by its opacity; both are 0 to 255. */
const onWhite = (value, opacity) => Math.floor((value * opacity + 255 * (255 - opacity) + 127) / 255);

/** Return the grey levels of {width, height, data} with four bytes for each pixel: red, green, blue, opacity. */
function greyOf({ width, height, data }) {
  const grey = new Uint8Array(width * height);
  for (let place = 0; place < grey.length; place++) {
    const [red, green, blue] = [0, 1, 2].map((colour) => onWhite(data[4 * place + colour], data[4 * place + 3]));
    grey[place] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
  }
  return grey;
}

/** Return the digits of a picture, from left to right: {image, box}, 28x28 grey levels with ink 255 on paper 0. */
function normalize(grey, width, height) {
  const factor = Math.ceil(Math.max(width, height) / MOST_SIDE);
  const picture = reduce({ width, height, values: Float64Array.from(grey) }, factor);
  const paper = paperOf(picture);
  let ink = picture.values.map((value, place) => value - paper[place]);
  if (ink.reduce((sum, value) => sum + value ** 3, 0) < 0) ink = ink.map((value) => -value);
  const smooth = blur({ ...picture, values: ink });
  const peak = largest(blur(smooth).values);
  if (peak < LEAST_CONTRAST) return [];
  const mask = smooth.values.map((value) => Number(value >= INK * peak));
  return join(piecesOf({ ...picture, values: mask })).map(({ places, left, top, right, bottom }) => {
    const mean = places.reduce((sum, place) => sum + smooth.values[place], 0) / places.length;
    const own = new Float64Array(ink.length);
    for (const place of places) own[place] = 1;
    const near = around({ ...picture, values: own }, 1);
    const drawn = ink.map((value, place) => (near[place] && value / mean >= FAINTEST ? Math.min(value / mean, 1) : 0));
    const box = [left, top, Math.min(right, width / factor), Math.min(bottom, height / factor)];
    return { image: fit({ ...picture, values: drawn }), box: box.map((each) => Math.round(each * factor)) };
  });
}

/** Replace each block of factor x factor pixels by its mean; blocks at the right and at the bottom may be smaller. */
function reduce({ width, height, values }, factor) {
  const [columns, rows] = [Math.ceil(width / factor), Math.ceil(height / factor)];
  const sums = new Float64Array(columns * rows);
  values.forEach((value, place) => {
    sums[Math.floor(place / width / factor) * columns + Math.floor((place % width) / factor)] += value;
  });
  const size = (block, whole) => Math.min(factor, whole - block * factor);
  const mean = (sum, block) => sum / (size(block % columns, width) * size(Math.floor(block / columns), height));
  return { width: columns, height: rows, values: sums.map(mean) };
}

/** Estimate the grey of the paper at each pixel: a local mean in which ink has little weight. */
function paperOf(picture) {
  const factor = Math.ceil(Math.max(picture.width, picture.height) / CELLS);
  const cells = reduce(picture, factor);
  const inFrame = (_, place) => {
    const [x, y] = [place % cells.width, Math.floor(place / cells.width)];
    return Math.min(x, y, cells.width - 1 - x, cells.height - 1 - y) < 2;
  };
  let paper = new Float64Array(cells.values.length).fill(median(cells.values.filter(inFrame)));
  for (let round = 0; round < ROUNDS; round++) {
    const distances = cells.values.map((value, place) => Math.abs(value - paper[place]));
    const unit = Math.max(1, median(distances));
    const weights = distances.map((distance) => (1 + (distance / unit) ** 2) ** -2);
    const sums = around({ ...cells, values: weights.map((weight, place) => weight * cells.values[place]) }, REACH);
    const total = around({ ...cells, values: weights }, REACH);
    paper = sums.map((sum, place) => sum / total[place]);
  }
  const neighbours = (size, count) =>
    Array.from({ length: size }, (_, pixel) => {
      const place = Math.min(count - 1, Math.max(0, (pixel + 0.5) / factor - 0.5));
      const before = Math.floor(place);
      return [before, Math.min(before + 1, count - 1), place - before];
    });
  const rows = neighbours(picture.height, cells.height);
  const columns = neighbours(picture.width, cells.width);
  return picture.values.map((_, pixel) => {
    const [above, below, down] = rows[Math.floor(pixel / picture.width)];
    const [left, right, across] = columns[pixel % picture.width];
    const at = (row, column) => paper[row * cells.width + column];
    const between = (column) => at(above, column) * (1 - down) + at(below, column) * down;
    return between(left) * (1 - across) + between(right) * across;
  });
}

function median(values) {
  const sorted = values.slice().sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const largest = (values) => values.reduce((larger, value) => Math.max(larger, value));

/** Return the sum of the square of 2 * reach + 1 values around each value; outside there is nothing. */
function around({ width, height, values }, reach) {
  const across = values.map((_, place) => {
    const x = place % width;
    let sum = 0;
    const last = Math.min(reach, width - 1 - x);
    for (let step = Math.max(-reach, -x); step <= last; step++) sum += values[place + step];
    return sum;
  });
  return values.map((_, place) => {
    const y = Math.floor(place / width);
    let sum = 0;
    const last = Math.min(reach, height - 1 - y);
    for (let step = Math.max(-reach, -y); step <= last; step++) sum += across[place + step * width];
    return sum;
  });
}

/** Replace each value by the mean of itself and its neighbours, up to eight. */
function blur({ width, height, values }) {
  const count = (index, size) => 1 + (index > 0) + (index < size - 1);
  const mean = (sum, place) => sum / (count(place % width, width) * count(Math.floor(place / width), height));
  return { width, height, values: around({ width, height, values }, 1).map(mean) };
}

/** Return the pieces of a mask, connected along sides or corners, by their left ends, then by their first pixels. */
function piecesOf({ width, height, values }) {
  const waiting = values.slice();
  const found = [];
  waiting.forEach((_, first) => {
    if (!waiting[first]) return;
    waiting[first] = 0;
    const piece = { places: [first], left: width, top: height, right: 0, bottom: 0 };
    for (let index = 0; index < piece.places.length; index++) {
      const [x, y] = [piece.places[index] % width, Math.floor(piece.places[index] / width)];
      enlarge(piece, { left: x, top: y, right: x + 1, bottom: y + 1 });
      for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
        for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) {
          const place = row * width + column;
          if (waiting[place]) piece.places.push(place);
          waiting[place] = 0;
        }
      }
    }
    found.push(piece);
  });
  return found.sort((one, other) => one.left - other.left);
}

function enlarge(box, other) {
  box.left = Math.min(box.left, other.left);
  box.top = Math.min(box.top, other.top);
  box.right = Math.max(box.right, other.right);
  box.bottom = Math.max(box.bottom, other.bottom);
}

/** Return the digits: pieces one above the other are one digit; specks and what is too short are left out. */
function join(pieces) {
  const most = Math.max(...pieces.map(({ places }) => places.length));
  const digits = [];
  for (const piece of pieces.filter(({ places }) => places.length >= SPECK * most)) {
    const last = digits.at(-1);
    const narrower = last && Math.min(last.right - last.left, piece.right - piece.left);
    if (last && Math.min(last.right, piece.right) - piece.left > SHARED * narrower) {
      last.places = last.places.concat(piece.places);
      enlarge(last, piece);
    } else digits.push(piece);
  }
  const tallest = Math.max(...digits.map(({ top, bottom }) => bottom - top));
  return digits.filter(({ top, bottom }) => bottom - top >= TALL * tallest);
}

/** Scale ink, 0 to 1, into a box of 20x20 and put its centre of mass at the centre: 28x28 grey levels. */
function fit({ width, height, values }) {
  const box = { left: width, top: height, right: 0, bottom: 0 };
  values.forEach((value, place) => {
    const [x, y] = [place % width, Math.floor(place / width)];
    if (value) enlarge(box, { left: x, top: y, right: x + 1, bottom: y + 1 });
  });
  const size = [box.right - box.left, box.bottom - box.top];
  const small = size.map((side) => Math.max(1, Math.floor((BOX * side) / Math.max(...size) + 0.5)));
  const cut = new Float64Array(size[0] * size[1]).map((_, place) => {
    return values[(box.top + Math.floor(place / size[0])) * width + box.left + (place % size[0])];
  });
  const digit = resample({ width: size[0], height: size[1], values: cut }, ...small, areaShares);
  const [most, sum] = [largest(digit), digit.reduce((total, value) => total + value)];
  const column = (place) => place % small[0];
  const row = (place) => Math.floor(place / small[0]);
  // Half a pixel and a little more, so that rounding errors do not decide about a symmetric digit.
  const [left, top] = [column, row].map((coordinate) => {
    const moment = digit.reduce((total, value, place) => total + value * coordinate(place), 0);
    return Math.floor(CENTRE - moment / sum + 0.500001);
  });
  const image = new Uint8Array(SIDE * SIDE);
  digit.forEach((value, place) => {
    const [x, y] = [left + column(place), top + row(place)];
    if (Math.min(x, y) >= 0 && Math.max(x, y) < SIDE) image[y * SIDE + x] = Math.floor((255 * value) / most + 0.5);
  });
  return image;
}

/** Return a picture with other sides; `shares` says of which old pixels, by how much, a new one is the mean. */
function resample({ width, height, values }, newWidth, newHeight, shares) {
  const across = new Float64Array(newWidth * height);
  for (const [to, from, share] of shares(width, newWidth)) {
    for (let y = 0; y < height; y++) across[y * newWidth + to] += share * values[y * width + from];
  }
  const result = new Float64Array(newWidth * newHeight);
  for (const [to, from, share] of shares(height, newHeight)) {
    for (let x = 0; x < newWidth; x++) result[to * newWidth + x] += share * across[from * newWidth + x];
  }
  return result;
}

/** Yield [to, from, share]: a new pixel is the mean of the area that it covers. */
function* areaShares(size, target) {
  for (let to = 0; to < target; to++) {
    const [start, end] = [(to * size) / target, ((to + 1) * size) / target];
    for (let from = Math.floor(start); from < Math.min(size, Math.ceil(end)); from++) {
      yield [to, from, ((Math.min(end, from + 1) - Math.max(start, from)) * target) / size];
    }
  }
}

/** Yield the same for linear interpolation, which covers all pixels where the picture becomes smaller: as in Pillow. */
function* linearShares(size, target) {
  const reach = Math.max(1, size / target);
  for (let to = 0; to < target; to++) {
    const centre = ((to + 0.5) * size) / target;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const last = Math.min(size, Math.floor(centre + reach + 0.5));
    const weights = Array.from({ length: last - first }, (_, index) => {
      return Math.max(0, 1 - Math.abs(first + index + 0.5 - centre) / reach);
    });
    const sum = weights.reduce((total, weight) => total + weight);
    for (const [index, weight] of weights.entries()) yield [to, first + index, weight / sum];
  }
}

/** Return {width, height, data} squashed into the shape of the data set's images, in grey levels or in colours. */
function resize(picture, [height, width, channels]) {
  const planes =
    channels === 1
      ? [greyOf(picture)]
      : [0, 1, 2].map((colour) => {
          const plane = new Uint8Array(picture.width * picture.height);
          return plane.map((_, place) => onWhite(picture.data[4 * place + colour], picture.data[4 * place + 3]));
        });
  const image = new Uint8Array(height * width * channels);
  planes.forEach((values, channel) => {
    const resized = resample({ ...picture, values }, width, height, linearShares);
    resized.forEach((value, place) => (image[place * channels + channel] = Math.round(value)));
  });
  return image;
}
