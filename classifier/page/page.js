// Fills the page with the gallery and the words for its data set, and starts it. Texts go in as text, never as HTML.

const NAMED = network.classes.some((name, label) => name !== String(label));
const MOST_AT_FIRST = 24; // images of the gallery

function showGallery() {
  const shown = network.gallery.length;
  element("gallery").hidden = !shown;
  const which =
    shown < network.misread
      ? `Of the ${network.misread} test images that the network misreads, these ${shown} have the highest probability`
      : `These are all test images that the network misreads: ${shown}`;
  element("count").textContent = `${which}. Choose one to see what the network finds in it.`;
  const size = HEIGHT * WIDTH * CHANNELS;
  const images = decode(network.images);
  network.gallery.forEach(([actual, predicted], index) => {
    const image = scaled(images.subarray(index * size, (index + 1) * size));
    const canvas = paint(document.createElement("canvas"), image);
    canvas.setAttribute("aria-hidden", "true");
    const answer = make("small", `read as ${network.classes[predicted]}`);
    const button = make("button", canvas, `${network.classes[actual]} `, answer);
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
  const size = `all ${numbers.toLocaleString("en")} numbers of the network`;
  element("about").textContent = `This file has ${size} and needs no network connection. Test images: ${source}.`;
}

showWords();
showGallery();
new ResizeObserver(drawPad).observe(pad);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawPad);
change();
