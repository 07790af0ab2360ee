// What the network makes of the pad: its images, its answer in words, and its probabilities as bars.

const network = JSON.parse(element("network").textContent);
const layers = readLayers(network);
const [HEIGHT, WIDTH, CHANNELS] = network.shape;
const READS_DIGITS = network.normalization === "mnist";
const IN_NEGATIVE = network.normalization === "negative"; // light pictures, whose negative the network sees
const MOST_BARS = 12; // of more classes, the ten most probable are shown

let readings = []; // of the images on the pad: {image, outputs, probabilities, label, sure}
let frame = 0;

const scaled = (levels) => Float32Array.from(levels, (level) => level / 255);

/** Return the images, float32 0 to 1, that the network sees of a picture; grey or in three colours. */
function imagesOf(planes) {
  if (READS_DIGITS) return normalize(planes[0]).map(({ image, stacked }) => Object.assign(scaled(image), { stacked }));
  const levels = squash(planes, network.shape);
  return [scaled(IN_NEGATIVE ? levels.map((level) => 255 - level) : levels)];
}

/** Strokes are light on dark, as any network sees ink: light pictures come to it in negative. */
function imagesOfStrokes(strokes) {
  if (READS_DIGITS) return imagesOf([pictureOfDigits(strokes)]);
  return [scaled(squash(Array(CHANNELS).fill(rasterize(strokes, PAD, PAD, PEN)), network.shape))];
}

function read(image) {
  const outputs = run(layers, image, network.shape);
  const probabilities = outputs[outputs.length - 1].values;
  const label = probabilities.indexOf(largest(probabilities));
  return { image, outputs, probabilities, label, sure: probabilities[label] >= network.confidence_floor };
}

/** Read what is on the pad now and show it, in the next frame. */
function change() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    drawPad();
    const { strokes, images } = now();
    readings = (strokes.length ? imagesOfStrokes(strokes) : images).map(read);
    show();
  });
}

const say = (text) => (element("said").textContent = text);
const nameOf = ({ label, sure }) => (sure ? network.classes[label] : "?");

/** Return the reading whose details are shown: of several digits the least certain one; undefined without any. */
function leastCertain() {
  const certainty = ({ probabilities }) => largest(probabilities);
  return [...readings].sort((one, other) => certainty(one) - certainty(other))[0];
}

function sentence() {
  const { shown, truth, refusal } = now();
  if (refusal) return refusal;
  if (!readings.length) return shown ? "No ink was found in this picture." : `${WORDS.invitation}.`;
  const { label, probabilities, sure } = leastCertain();
  const answer = `${network.classes[label]}, with probability ${probabilities[label].toFixed(3)}`;
  if (truth !== null) return `A test image of ${network.classes[truth]}, which it reads as ${answer}.`;
  if (sure && readings.length === 1) return `It ${WORDS.reads} ${answer}.`;
  const uncertain = `Uncertain: this looks like no ${WORDS.noun} that it knows. The nearest is`;
  const start = readings.length > 1 ? `It reads ${readings.map(nameOf).join(" ")}. The least certain is` : uncertain;
  const stacked = !sure && readings.some(({ image }) => image.stacked);
  const end = stacked ? " Ink stands above ink, but a picture has one line of digits: cut out each line." : "";
  return `${start} ${answer}.${end}`;
}

function show() {
  const { truth } = now();
  const answer = truth === null ? readings.map(nameOf).join(" ") : network.classes[readings[0].label];
  element("answer").textContent = answer;
  element("answer").className = answer.length > 6 ? "long" : answer.length > 2 ? "middle" : "";
  document.body.classList.toggle("doubtful", answer === "?");
  element("undo").disabled = past.length === 1;
  element("clear").disabled = now() === EMPTY;
  element("invitation").hidden = now() !== EMPTY;
  const images = readings.length ? readings.map(({ image }) => image) : [BLANK];
  element("images").classList.toggle("several", images.length > 1);
  element("images").replaceChildren(...images.map((image) => paintImage(image, "Image that the network sees")));
  say(sentence());
  showBars(leastCertain() ?? { probabilities: network.classes.map(() => 0) });
  showLayers(leastCertain()?.outputs);
}

function showBars({ probabilities, label }) {
  let labels = [...network.classes.keys()];
  if (labels.length > MOST_BARS) {
    labels = labels.sort((one, other) => probabilities[other] - probabilities[one]).slice(0, 10);
  }
  const lines = labels.map((each) => {
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", `${100 * probabilities[each]}%`);
    const value = make("span", { class: "value" }, label === undefined ? "" : probabilities[each].toFixed(3));
    return make("li", { class: each === label ? "first" : "" }, make("span", {}, network.classes[each]), bar, value);
  });
  element("bars").replaceChildren(...lines);
}
