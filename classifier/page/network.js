"use strict";
// Computes the layers of classifier/model/layers.py, without a library: the page must open from a disk, where a browser
// loads no module and no WebAssembly. Values are in the order row, column, channel. Runs in browsers and in Node.

/** Return the bytes of a text in base64. */
const decode = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

const largest = (values) => values.reduce((larger, value) => Math.max(larger, value));
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** Return the layers with their numbers, which `document` has as float32, little-endian, one layer after the other. */
function readLayers(document) {
  const numbers = new Float32Array(decode(document.weights).buffer);
  let start = 0;
  const take = (shape) => numbers.subarray(start, (start += shape.reduce((product, side) => product * side, 1)));
  return document.layers.map((layer) => ({ ...layer, weights: take(layer.kernel), biases: take(layer.bias) }));
}

const COMPUTE = {
  convolution,
  pool,
  scale,
  relu: ({ shape, values }) => ({ shape, values: values.map((value) => Math.max(value, 0)) }),
  flatten: ({ values }) => ({ shape: [values.length], values }),
  dense,
  softmax,
};

/** Return the output {kind, name, shape, values} of each layer for the pixels, 0 to 1, of an image of a shape. */
function run(layers, image, shape) {
  let output = { shape, values: image };
  return layers.map((layer) => {
    output = { kind: layer.kind, name: layer.name, ...COMPUTE[layer.kind](output, layer) };
    return output;
  });
}

function convolution({ shape: [height, width, channels], values }, { kernel: [side, , , count], weights, biases }) {
  const before = (side - 1) >> 1; // rows and columns of zeros before the first; Keras's padding "same"
  const result = new Float32Array(height * width * count);
  const sums = new Float64Array(count);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      sums.set(biases);
      for (let y = Math.max(0, before - row); y < Math.min(side, height + before - row); y++) {
        for (let x = Math.max(0, before - column); x < Math.min(side, width + before - column); x++) {
          const pixel = ((row + y - before) * width + column + x - before) * channels;
          const tap = (y * side + x) * channels;
          for (let channel = 0; channel < channels; channel++) {
            addMultiple(sums, values[pixel + channel], weights, (tap + channel) * count);
          }
        }
      }
      result.set(sums, (row * width + column) * count);
    }
  }
  return { shape: [height, width, count], values: result };
}

function addMultiple(sums, value, weights, start) {
  if (value === 0) return; // most values behind a ReLU are 0
  for (let index = 0; index < sums.length; index++) sums[index] += value * weights[start + index];
}

/** The maximum of each 2x2 pixels; an odd last row or column is dropped. */
function pool({ shape: [height, width, channels], values }) {
  const shape = [height >> 1, width >> 1, channels];
  const result = new Float32Array(shape[0] * shape[1] * channels).map((_, index) => {
    const pixel = Math.floor(index / channels);
    const row = 2 * Math.floor(pixel / shape[1]);
    const first = (row * width + 2 * (pixel % shape[1])) * channels + (index % channels);
    const below = first + width * channels;
    return Math.max(values[first], values[first + channels], values[below], values[below + channels]);
  });
  return { shape, values: result };
}

function scale({ shape, values }, { weights, biases }) {
  const channel = (index) => index % biases.length;
  return { shape, values: values.map((value, index) => value * weights[channel(index)] + biases[channel(index)]) };
}

function dense({ values }, { kernel: [, count], weights, biases }) {
  const sums = Float64Array.from(biases);
  values.forEach((value, index) => addMultiple(sums, value, weights, index * count));
  return { shape: [count], values: Float32Array.from(sums) };
}

function softmax({ shape, values }) {
  const most = largest(values);
  const powers = Float64Array.from(values, (value) => Math.exp(value - most));
  const total = sum(powers);
  return { shape, values: Float32Array.from(powers, (power) => power / total) };
}
