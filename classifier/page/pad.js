// The pad: strokes and pictures on it, by mouse, pen, finger, clipboard and file, and what can be undone.

const element = (id) => document.getElementById(id);
const LEAST_MOVE = 1.5; // between two points of a stroke
const MOST_PICTURE = 2000; // pixels of the longer side of a picture

/** On the pad: strokes; or a picture, shown by a canvas, its images, and the class of a test image; or a refusal. */
const EMPTY = { strokes: [], shown: null, images: [], truth: null, refusal: "" };
const past = []; // the last is on the pad; page.js puts the first there, a test image
let stroke = null; // being drawn
let pointer = null; // the pointer that draws; a second finger or the palm is ignored

const pad = element("pad");
const now = () => past[past.length - 1];

function push(entry) {
  past.push(entry);
  change();
}

function undo() {
  if (past.length > 1) past.pop();
  stroke = null;
  change();
}

function pointOf(event) {
  const box = pad.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * PAD, ((event.clientY - box.top) / box.height) * PAD];
}

pad.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) return;
  pointer = event.pointerId;
  pad.setPointerCapture(pointer);
  stroke = [pointOf(event)];
  push({ ...EMPTY, strokes: [...now().strokes, stroke] });
});
pad.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer || !stroke) return;
  const passed = event.getCoalescedEvents?.() ?? [];
  for (const [x, y] of (passed.length ? passed : [event]).map(pointOf)) {
    const [lastX, lastY] = stroke[stroke.length - 1];
    if (Math.hypot(x - lastX, y - lastY) >= LEAST_MOVE) stroke.push([x, y]);
  }
  change();
});
for (const end of ["pointerup", "pointercancel"]) {
  pad.addEventListener(end, (event) => {
    if (event.pointerId === pointer) pointer = stroke = null;
  });
}

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
    context.moveTo(points[0][0], points[0][1] - 0.01); // a line without length would not be drawn
    for (const point of points) context.lineTo(...point);
    context.stroke();
  }
}

/** Whether the browser gives other pixels than a canvas has, by more than rounding: some do against fingerprinting. */
function falsifies() {
  const context = make("canvas", { width: 16, height: 16 }).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "rgb(200, 100, 50)";
  context.fillRect(0, 0, 16, 8);
  const { data } = context.getImageData(0, 0, 16, 16);
  return data.some((level, index) => Math.abs(level - (index < 512 ? [200, 100, 50, 255][index % 4] : 0)) > 8);
}

async function openFile(file) {
  const refuse = (refusal) => push({ ...EMPTY, refusal });
  if (!file) return refuse("Only the file of a picture can be opened here.");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return refuse(`${file.name} is not a picture that this browser can read.`);
  }
  if (falsifies()) return refuse("This browser hides the pixels of pictures. Allow the page to read canvases, or draw.");
  const factor = Math.min(1, MOST_PICTURE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * factor)));
  const shown = make("canvas", { width, height });
  const context = shown.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return push({ ...EMPTY, shown, images: imagesOf(planesOf(context.getImageData(0, 0, width, height), CHANNELS)) });
}

element("open").addEventListener("click", () => element("file").click());
element("file").addEventListener("change", (event) => {
  openFile(event.target.files[0]);
  event.target.value = "";
});
document.addEventListener("paste", (event) => openFile(event.clipboardData.files[0]));
document.addEventListener("dragover", (event) => event.preventDefault()); // else the browser would open a dropped file
document.addEventListener("drop", (event) => {
  event.preventDefault();
  openFile(event.dataTransfer.files[0]);
});
element("undo").addEventListener("click", undo);
element("clear").addEventListener("click", () => push(EMPTY));
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z") undo();
});
