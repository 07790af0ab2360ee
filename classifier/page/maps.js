// Paints images and the maps of the layers.

const MOST_MAPS = 8;
/** The colour of a value from 0 to 1: from black through green to white. */
const glow = (value) => [16 + 239 * value ** 2, 17 + 229 * value, 22 + 200 * value];
const BLANK = new Float32Array(HEIGHT * WIDTH * CHANNELS);

function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Return a canvas whose pixels have the colours, [red, green, blue], of their places, row by row. */
function paint(width, height, label, colourAt) {
  const canvas = make("canvas", { width, height, role: "img", "aria-label": label });
  const pixels = new ImageData(width, height);
  for (let place = 0; place < width * height; place++) pixels.data.set([...colourAt(place), 255], 4 * place);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  canvas.style.setProperty("--ratio", width / height);
  return canvas;
}

/** Return a canvas with an image as the data set has it, not in negative. */
function paintImage(image, label) {
  const value = (place, colour) => image[place * CHANNELS + Math.min(colour, CHANNELS - 1)];
  const level = (place, colour) => 255 * (IN_NEGATIVE ? 1 - value(place, colour) : value(place, colour));
  return paint(WIDTH, HEIGHT, label, (place) => [0, 1, 2].map((colour) => level(place, colour)));
}

/** Show the most active maps of each convolution, before pooling; all dark without an image. */
function showLayers(outputs) {
  const convolutions = (outputs ?? run(layers, BLANK, network.shape)).filter(({ kind }) => kind === "convolution");
  const parts = convolutions.flatMap(({ name, shape: [height, width, count], values }) => {
    const active = values.map((value) => (outputs ? Math.max(0, value) : 0));
    const valuesOf = (map) => new Float32Array(height * width).map((_, place) => active[place * count + map]);
    const maps = Array.from({ length: count }, (_, map) => valuesOf(map));
    const contrasts = maps.map((map) => largest(map) - median(map)); // its bias makes the median, from empty paper
    const order = [...maps.keys()].sort((one, other) => contrasts[other] - contrasts[one]).slice(0, MOST_MAPS);
    const most = Math.max(largest(active), 1e-9);
    const canvases = order.map((map) => {
      return paint(width, height, `Map ${map + 1} of ${count}`, (place) => glow(maps[map][place] / most));
    });
    const detail = make("span", {}, `${count} maps of ${width}×${height}, the most active first`);
    const list = make("ul", {}, ...canvases.map((canvas) => make("li", {}, canvas)));
    return [make("h3", {}, `${name.replace("_", " ")} `, detail), list];
  });
  element("layers").replaceChildren(...parts);
}
