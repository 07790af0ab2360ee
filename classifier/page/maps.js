// Paints images, and the maps and units of the layers.

const MOST_MAPS = 8;
const RAMP = [[16, 17, 22], [24, 96, 92], [92, 190, 172], [255, 246, 222]]; // colours of values from 0 to the largest

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
  const valueAt = (place) => (blank || place >= count ? 0 : values[place] / most);
  paintValues(canvas, columns, Math.ceil(count / columns), valueAt);
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
