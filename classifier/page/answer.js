// What the network makes of the pad: its images, its answer in words, and its probabilities as bars.

const network = JSON.parse(element("network").textContent);
const layers = readLayers(network);
const [HEIGHT, WIDTH, CHANNELS] = network.shape;
const READS_DIGITS = network.normalization === "mnist";
const MOST_BARS = 12; // more classes: the most probable ones
const SETTLED = 150; // milliseconds without a change after which maps and text follow

let readings = []; // of the images on the pad: {image, outputs, probabilities, label}
let chosen = 0; // the reading whose details are shown
let frame = 0;
let timer = 0;

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

/** Return a picture with colours: ink is light on dark for grey data sets, and dark on light for colour images. */
function coloured({ width, height, grey }) {
  const data = new Uint8ClampedArray(4 * grey.length).fill(255);
  grey.forEach((level, index) => data.fill(CHANNELS === 1 ? level : 255 - level, 4 * index, 4 * index + 3));
  return { width, height, data };
}

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
const shownOf = (reading) => (reading.sure ? nameOf(reading) : "?");
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
    const lowest = `${nameOf(least)}, with probability ${probabilityOf(least)}`;
    return `It reads ${readings.map(shownOf).join(" ")}. The least certain is ${lowest}.`;
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
  const answer = now().truth === null ? readings.map(shownOf).join(" ") : nameOf(readings[0]);
  element("answer").textContent = answer;
  element("answer").className = answer.length > 6 ? "long" : answer.length > 2 ? "middle" : "";
  document.body.classList.toggle("doubtful", doubtful);
  element("undo").disabled = past.length === 1;
  element("clear").disabled = now() === EMPTY;
  if (document.activeElement.disabled) pad.focus({ preventScroll: true }); // else the keyboard would start at the top
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
      const probability = label < 0 ? "" : rounded(probabilities[each]);
      const line = make("li", make("span", network.classes[each]), make("span"), make("span", probability));
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
