// The pad: strokes and pictures on it, by mouse, pen, finger, keyboard, clipboard and file, and what can be undone.

const element = (id) => document.getElementById(id);
const KEY_STEP = 10; // of the pen, moved by keys, on a pad of 280
const LEAST_MOVE = 1.5; // between two points of a stroke
const MOST_PICTURE = 4000; // pixels of the longer side of a picture; a browser may refuse a larger canvas
const MOST_SHOWN = 1000; // of what is kept of it, to show it

/** What is on the pad: strokes; or a picture, shown by a canvas, with its images, and the class of a test image. */
const EMPTY = { strokes: [], shown: null, images: [], truth: null };
let past = [EMPTY]; // the last is shown
let stroke = null; // being drawn
let pen = null; // moved by keys: {x, y, down}

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
