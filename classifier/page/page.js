// Draws, shows what the network makes of it, and keeps what can be undone. Texts go into the page as text, never as HTML.

const element = (id) => document.getElementById(id);
const network = JSON.parse(element("network").textContent);
const layers = readLayers(network);
const [HEIGHT, WIDTH, CHANNELS] = network.shape;
const READS_DIGITS = network.normalization === "mnist";
const NAMED = network.classes.some((name, label) => name !== String(label));
const MOST_BARS = 12; // more classes: the most probable ones
const MOST_MAPS = 8;
const MOST_AT_FIRST = 24; // images of the gallery
const SETTLED = 150; // milliseconds without a change after which maps and text follow
const KEY_STEP = 10; // of the pen, moved by keys, on a pad of 280
const LEAST_MOVE = 1.5; // between two points of a stroke
const RAMP = [[16, 17, 22], [24, 96, 92], [92, 190, 172], [255, 246, 222]]; // colours of values from 0 to the largest

const MOST_PICTURE = 4000; // pixels of the longer side of a picture; a browser may refuse a larger canvas
const MOST_SHOWN = 1000; // of what is kept of it, to show it

/** What is on the pad: strokes; or a picture, shown by a canvas, with its images, and the class of a test image. */
const EMPTY = { strokes: [], shown: null, images: [], truth: null };
let past = [EMPTY]; // the last is shown
let readings = []; // of the images on the pad: {image, outputs, probabilities, label}
let chosen = 0; // the reading whose details are shown
let stroke = null; // being drawn
let pen = null; // moved by keys: {x, y, down}
let frame = 0;
let timer = 0;

// --- the pad

const pad = element("pad");
const now = () => past[past.length - 1];

function push(entry) {
  past.push({ ...EMPTY, ...entry });
  change();
}

function undo() {
  if (past.length > 1) past.pop();
  stroke = null;
  change();
}

function clear() {
  stroke = null;
  if (now() !== EMPTY) past.push(EMPTY);
  change();
}

function begin(point) {
  stroke = [point];
  push({ strokes: [...now().strokes, stroke] });
}

function extend(point) {
  const last = stroke[stroke.length - 1];
  if (Math.hypot(point[0] - last[0], point[1] - last[1]) < LEAST_MOVE) return;
  stroke.push(point);
  change();
}

function pointOf(event) {
  const box = pad.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * PAD, ((event.clientY - box.top) / box.height) * PAD];
}

let pointer = null; // the pointer that draws; a second finger or the palm is ignored

pad.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) return;
  pointer = event.pointerId;
  pen = null;
  pad.setPointerCapture(pointer);
  begin(pointOf(event));
});
pad.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer || !stroke) return;
  const passed = event.getCoalescedEvents?.() ?? [];
  for (const each of passed.length ? passed : [event]) extend(pointOf(each));
});
for (const end of ["pointerup", "pointercancel"]) {
  pad.addEventListener(end, (event) => {
    if (event.pointerId === pointer) pointer = stroke = null;
  });
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

pad.addEventListener("keydown", (event) => {
  const arrow = ARROWS[event.key];
  if ((!arrow && event.key !== " ") || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  pen ??= { x: PAD / 2, y: PAD / 2, down: false };
  if (arrow) {
    pen.x = Math.min(PAD, Math.max(0, pen.x + arrow[0] * KEY_STEP));
    pen.y = Math.min(PAD, Math.max(0, pen.y + arrow[1] * KEY_STEP));
    if (pen.down && stroke) extend([pen.x, pen.y]);
    else drawPad();
  } else {
    pen.down = !pen.down;
    if (pen.down) begin([pen.x, pen.y]);
    else stroke = null;
    change();
  }
});
pad.addEventListener("blur", () => {
  pen = null;
  drawPad();
});

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") undo();
  else if (event.key === "Delete") clear();
  else return;
  if (pen) pen.down = false;
  event.preventDefault();
});

function drawPad() {
  const scale = (pad.clientWidth * devicePixelRatio) / PAD;
  pad.width = pad.height = Math.round(PAD * scale);
  const context = pad.getContext("2d");
  context.scale(scale, scale);
  const { strokes, shown } = now();
  if (shown) {
    const factor = PAD / Math.max(shown.width, shown.height);
    const [width, height] = [shown.width * factor, shown.height * factor];
    context.imageSmoothingEnabled = shown.width > WIDTH || shown.height > HEIGHT;
    context.drawImage(shown, (PAD - width) / 2, (PAD - height) / 2, width, height);
  }
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = PEN;
  context.strokeStyle = getComputedStyle(pad).color;
  for (const points of strokes) {
    context.beginPath();
    context.moveTo(points[0][0], points[0][1]);
    for (let index = 1; index < points.length; index++) {
      const [[x, y], [nextX, nextY]] = [points[index - 1], points[index]];
      context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
    }
    const [x, y] = points[points.length - 1];
    context.lineTo(x, y + 0.01); // a line without length would not be drawn
    context.stroke();
  }
  if (pen) {
    context.beginPath();
    context.arc(pen.x, pen.y, PEN / 2 + 2, 0, 2 * Math.PI);
    context.lineWidth = pen.down ? 4 : 1.5;
    context.stroke();
  }
}

// --- pictures

async function load(file) {
  if (!file) return say("Only the file of a picture can be opened here.");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return say(`${file.name || "This"} is not a picture that this browser can read.`);
  }
  const picture = drawBitmap(bitmap, MOST_PICTURE);
  const shown = drawBitmap(picture, MOST_SHOWN);
  bitmap.close();
  const { width, height, data } = picture.getContext("2d").getImageData(0, 0, picture.width, picture.height);
  return push({ shown, images: imagesOfPicture({ width, height, data }) });
}

/** Return a canvas with a picture, reduced if its longer side has more pixels than `most`. */
function drawBitmap(bitmap, most) {
  const factor = Math.min(1, most / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * factor));
  canvas.height = Math.max(1, Math.round(bitmap.height * factor));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

element("open").addEventListener("click", () => element("file").click());
element("file").addEventListener("change", (event) => {
  load(event.target.files[0]);
  event.target.value = "";
});
document.addEventListener("paste", (event) => load(event.clipboardData.files[0]));
document.addEventListener("dragover", (event) => {
  event.preventDefault(); // else the browser would leave the page for a dropped file
  element("paper").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) element("paper").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  element("paper").classList.remove("over");
  load(event.dataTransfer.files[0]);
});
element("undo").addEventListener("click", undo);
element("clear").addEventListener("click", clear);

/** Return the images, float32 0 to 1, that the network sees of what is on the pad. */
function imagesOf({ strokes, images }) {
  if (!strokes.length) return images;
  if (!READS_DIGITS) return imagesOfPicture(coloured(pictureOfPad(strokes)));
  const { width, height, grey } = pictureOfDigits(strokes);
  return normalize(grey, width, height).map(({ image }) => scaled(image));
}

function imagesOfPicture(picture) {
  if (!READS_DIGITS) return [scaled(resize(picture, network.shape))];
  return normalize(greyOf(picture), picture.width, picture.height).map(({ image }) => scaled(image));
}

const scaled = (image) => Float32Array.from(image, (level) => level / 255);

/** Return a picture with colours; ink is light on dark, as in the grey data sets, or dark on light for colour images. */
function coloured({ width, height, grey }) {
  const data = new Uint8ClampedArray(4 * grey.length).fill(255);
  grey.forEach((level, index) => data.fill(CHANNELS === 1 ? level : 255 - level, 4 * index, 4 * index + 3));
  return { width, height, data };
}

// --- the answer

/** Show what is on the pad now; the slower parts follow when nothing has changed for a moment. */
function change() {
  element("said").setAttribute("aria-busy", "true");
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    drawPad();
    readings = imagesOf(now()).map(read);
    chosen = 0;
    showReadings();
  });
  clearTimeout(timer);
  timer = setTimeout(settle, SETTLED);
}

function settle() {
  if (frame) return void (timer = setTimeout(settle, SETTLED));
  showLayers();
  say(pen ? `The pen is ${pen.down ? "down" : "up"}. ${sentence()}` : sentence());
  element("said").setAttribute("aria-busy", "false");
}

function read(image) {
  const outputs = run(layers, image, network.shape);
  const probabilities = outputs[outputs.length - 1].values;
  const label = probabilities.indexOf(Math.max(...probabilities));
  return { image, outputs, probabilities, label, sure: probabilities[label] >= network.confidence_floor };
}

const nameOf = ({ label }) => network.classes[label];
const rounded = (probability) => probability.toFixed(3);
const probabilityOf = ({ probabilities, label }) => rounded(probabilities[label]);

function sentence() {
  const { shown, truth } = now();
  if (!readings.length) {
    if (shown) return "No ink was found in this picture.";
    return READS_DIGITS ? "Draw a digit, and the network reads it." : "Open a picture, and the network names it.";
  }
  const [first] = readings;
  if (readings.length > 1) {
    const least = readings.reduce((lower, each) => (probabilityOf(each) < probabilityOf(lower) ? each : lower));
    return `It reads ${readings.map(nameOf).join(" ")}. The least certain is ${nameOf(least)}, with probability ${probabilityOf(least)}.`;
  }
  const found = `${nameOf(first)}, with probability ${probabilityOf(first)}`;
  if (truth !== null) return `A test image of ${network.classes[truth]}, which it reads as ${found}.`;
  if (first.sure) return `It ${READS_DIGITS ? "reads" : "sees"} ${found}.`;
  return `Uncertain: this looks like no ${READS_DIGITS ? "digit" : "class"} that it knows. The nearest is ${found}.`;
}

function say(text) {
  if (element("said").textContent !== text) element("said").textContent = text;
}

function showReadings() {
  const several = readings.length > 1;
  const doubtful = !several && readings.some(({ sure }) => !sure) && now().truth === null;
  const answer = doubtful ? "?" : readings.map((each) => (each.sure || !several ? nameOf(each) : "?")).join(" ");
  element("answer").textContent = answer;
  element("answer").className = answer.length > 6 ? "long" : answer.length > 2 ? "middle" : "";
  document.body.classList.toggle("doubtful", doubtful);
  element("undo").disabled = past.length === 1;
  element("clear").disabled = now() === EMPTY;
  element("invitation").hidden = now() !== EMPTY;
  element("images").classList.toggle("several", several);
  const images = readings.length ? readings.map(({ image }) => image) : [new Float32Array(HEIGHT * WIDTH * CHANNELS)];
  element("images").replaceChildren(...images.map((image, index) => showImage(image, index, several)));
  showBars();
}

function showImage(image, index, several) {
  const canvas = paint(document.createElement("canvas"), image);
  const place = several ? `, ${index + 1} of ${readings.length}: ${nameOf(readings[index])}` : "";
  const holder = document.createElement(several ? "button" : "div");
  describe(canvas, `Image of ${WIDTH} by ${HEIGHT} pixels that the network sees${place}`);
  holder.append(canvas);
  if (several) {
    holder.type = "button";
    holder.setAttribute("aria-pressed", String(index === chosen));
    holder.addEventListener("click", () => {
      chosen = index;
      showReadings();
      showLayers();
      element("images").children[index].focus();
    });
  }
  return holder;
}

function showBars() {
  const { probabilities, label } = readings[chosen] ?? { probabilities: network.classes.map(() => 0), label: -1 };
  let labels = network.classes.map((_, each) => each);
  if (labels.length > MOST_BARS) {
    labels = labels.sort((one, other) => probabilities[other] - probabilities[one] || one - other).slice(0, 10);
  }
  element("bars").replaceChildren(
    ...labels.map((each) => {
      const line = make("li", make("span", network.classes[each]), make("span"), make("span", label < 0 ? "" : rounded(probabilities[each])));
      line.className = each === label ? "first" : "";
      const [, track, value] = line.children;
      track.className = "track";
      track.setAttribute("aria-hidden", "true");
      track.append(make("span"));
      track.firstChild.style.setProperty("--share", `${100 * probabilities[each]}%`);
      value.className = "value";
      return line;
    }),
  );
}

// --- inside the network

function showLayers() {
  const outputs = readings[chosen]?.outputs ?? run(layers, new Float32Array(HEIGHT * WIDTH * CHANNELS), network.shape);
  const blank = !readings.length;
  element("layers").replaceChildren(
    ...outputs.flatMap((output, index) => {
      if (output.kind === "convolution") return [showMaps(unpooled(outputs, index), output.name, blank)];
      if (output.kind === "relu" && output.shape.length === 1) return [showUnits(output, blank)];
      return [];
    }),
  );
}

/** Return the maps of a convolution at their full size: behind scale and ReLU, but before pooling. */
function unpooled(outputs, index) {
  let output = outputs[index];
  for (let next = index + 1; ["pool", "scale", "relu"].includes(layers[next].kind); next++) {
    if (layers[next].kind !== "pool") output = COMPUTE[layers[next].kind](output, layers[next]);
  }
  return output;
}

function showMaps({ shape: [height, width, count], values }, name, blank) {
  // How much a map shows of this image: the distances from its median, which is what its bias makes of empty paper.
  const sums = Float64Array.from({ length: count }, (_, map) => {
    const ofMap = Float64Array.from({ length: width * height }, (_, place) => values[place * count + map]);
    const usual = median(ofMap);
    return ofMap.reduce((sum, value) => sum + Math.abs(value - usual), 0);
  });
  const most = Math.max(...[values.reduce((larger, value) => Math.max(larger, value)), 1e-9]);
  const order = [...sums.keys()].sort((one, other) => sums[other] - sums[one] || one - other).slice(0, MOST_MAPS);
  const list = make("ul");
  for (const map of order) {
    const canvas = document.createElement("canvas");
    paintValues(canvas, width, height, (place) => (blank ? 0 : values[place * count + map] / most));
    describe(canvas, `Map ${map + 1} of ${count}`);
    list.append(make("li", canvas));
  }
  const which = count > MOST_MAPS ? `, the ${order.length} most active` : "";
  return make("div", heading(name, `${count} maps of ${width}×${height}${which}`), list);
}

function showUnits({ name, shape: [count], values }, blank) {
  const most = Math.max(values.reduce((larger, value) => Math.max(larger, value)), 1e-9);
  const columns = Math.min(count, 32);
  const canvas = document.createElement("canvas");
  paintValues(canvas, columns, Math.ceil(count / columns), (place) => (blank || place >= count ? 0 : values[place] / most));
  const active = blank ? 0 : values.filter((value) => value > 0).length;
  canvas.className = "units";
  describe(canvas, `${active} of ${count} units of ${name} are active`);
  return make("div", heading(name, `${count} units, ${active} active`), canvas);
}

function heading(name, detail) {
  const title = make("h3", `${name.replace("_", " ")} `);
  title.append(make("span", detail));
  return title;
}

// --- painting

/** Paint an image, 0 to 1, on a canvas of its size, and return the canvas. */
function paint(canvas, image) {
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const pixels = new ImageData(WIDTH, HEIGHT);
  for (let place = 0; place < WIDTH * HEIGHT; place++) {
    for (let colour = 0; colour < 3; colour++) {
      pixels.data[4 * place + colour] = 255 * image[place * CHANNELS + Math.min(colour, CHANNELS - 1)];
    }
    pixels.data[4 * place + 3] = 255;
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

function paintValues(canvas, width, height, valueAt) {
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height);
  for (let place = 0; place < width * height; place++) {
    const at = Math.min(1, Math.max(0, valueAt(place))) * (RAMP.length - 1);
    const low = Math.min(RAMP.length - 2, Math.floor(at));
    const mix = (colour) => RAMP[low][colour] + (at - low) * (RAMP[low + 1][colour] - RAMP[low][colour]);
    pixels.data.set([mix(0), mix(1), mix(2), 255], 4 * place);
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

function describe(canvas, text) {
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", text);
}

function make(tag, ...children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}

// --- the gallery, and the words for this data set

function showGallery() {
  const shown = network.gallery.length;
  element("gallery").hidden = !shown;
  element("count").textContent =
    shown < network.misread
      ? `Of the ${network.misread} test images that the network misreads, these ${shown} have the highest probability. Choose one to see what the network finds in it.`
      : `These are all test images that the network misreads: ${shown}. Choose one to see what the network finds in it.`;
  const size = HEIGHT * WIDTH * CHANNELS;
  const images = decode(network.images);
  network.gallery.forEach(([actual, predicted], index) => {
    const image = scaled(images.subarray(index * size, (index + 1) * size));
    const canvas = paint(document.createElement("canvas"), image);
    canvas.setAttribute("aria-hidden", "true");
    const button = make("button", canvas, `${network.classes[actual]} `, make("small", `read as ${network.classes[predicted]}`));
    button.type = "button";
    button.addEventListener("click", () => {
      push({ shown: canvas, images: [image], truth: actual });
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      element("paper").scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
    });
    const item = make("li", button);
    item.hidden = shown > MOST_AT_FIRST && index >= MOST_AT_FIRST;
    element("mistakes").append(item);
  });
  element("all").textContent = `Show all ${shown}`;
  element("all").hidden = shown <= MOST_AT_FIRST;
  element("all").addEventListener("click", () => {
    const items = [...element("mistakes").children];
    items.forEach((item) => (item.hidden = false));
    element("all").hidden = true;
    items[MOST_AT_FIRST].firstChild.focus();
  });
}

function showWords() {
  if (READS_DIGITS) {
    document.title = element("title").textContent = "Draw a digit";
    element("lead").textContent =
      "A neural network reads it. It runs in this page: nothing that you draw leaves this computer.";
    element("chances").textContent = "Probability of each digit";
    element("how").textContent = `Scaled into ${WIDTH}×${HEIGHT} pixels and centred, as MNIST was made.`;
  } else {
    element("how").textContent = `Resized to ${WIDTH}×${HEIGHT} pixels.`;
  }
  element("invitation").textContent = READS_DIGITS ? "Draw a digit here" : "Drop a picture here, or draw";
  if (network.classes.length > MOST_BARS) {
    element("chances").textContent = `The ten most probable of ${network.classes.length} classes`;
  }
  element("bars").classList.toggle("named", NAMED);
  const numbers = layers.reduce((sum, { weights, biases }) => sum + weights.length + biases.length, 0);
  const source = [network.name, network.licence, network.source].filter(Boolean).join(", ");
  element("about").textContent =
    `This file has all ${numbers.toLocaleString("en")} numbers of the network and needs no network connection. Test images: ${source}.`;
}

showWords();
showGallery();
new ResizeObserver(drawPad).observe(pad);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawPad);
change();
