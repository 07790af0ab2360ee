// Fills the page with the gallery and the words for its data set, and starts it. Texts go in as text, never as HTML.

const WORDS = READS_DIGITS
  ? { title: "Draw a digit", invitation: "Draw a digit here", reads: "reads", noun: "digit", alone: "digits" }
  : { title: "Show it a picture", invitation: "Drop a picture here, or draw", reads: "sees", noun: "class", alone: "these" };

const TEST_IMAGES = decode(network.images); // of the gallery, and the one with which the page opens

function showWords() {
  document.title = element("title").textContent = WORDS.title;
  element("invitation").textContent = WORDS.invitation;
  const how = READS_DIGITS ? "Scaled and centred, as MNIST was made" : "Resized";
  const end = IN_NEGATIVE ? ", of which the network gets the negative" : "";
  element("how").textContent = `${how}: ${WIDTH}×${HEIGHT} pixels${end}.`;
  const most = network.classes.length > MOST_BARS ? `: the ten highest of ${network.classes.length}` : "";
  element("chances").textContent = `Probability of each ${WORDS.noun}${most}`;
  element("alone").textContent = `It knows ${WORDS.alone} alone: anything else gets the name of one of them too.`;
  element("bars").classList.toggle("named", network.classes.some((name) => name.length > 1));
  const numbers = sum(layers.map(({ weights, biases }) => weights.length + biases.length)).toLocaleString("en");
  const source = [network.name, network.licence, network.source].filter(Boolean).join(", ");
  element("about").textContent = `This file has all ${numbers} numbers of the network. Test images: ${source}.`;
}

/** Return a test image as it is on the pad. */
function testImage(index, truth) {
  const image = scaled(TEST_IMAGES.subarray(index * BLANK.length, (index + 1) * BLANK.length));
  return { ...EMPTY, shown: paintImage(image, "Test image"), images: [image], truth };
}

function showGallery() {
  const count = network.gallery.length;
  element("gallery").hidden = !count;
  element("count").textContent = `${count} of ${network.misread} misread test images, actual → predicted. Choose one.`;
  const items = network.gallery.map(([actual, predicted], index) => {
    const entry = testImage(index, actual);
    const reading = `${network.classes[actual]} → ${network.classes[predicted]}`;
    const button = make("button", { type: "button" }, entry.shown, reading);
    button.addEventListener("click", () => {
      push(entry);
      element("paper").scrollIntoView({ block: "nearest" });
    });
    return make("li", {}, button);
  });
  element("mistakes").append(...items);
}

showWords();
showGallery();
push(testImage(network.gallery.length, network.opening));
new ResizeObserver(drawPad).observe(pad);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawPad);
