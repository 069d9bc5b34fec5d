// The brush and the eraser: a stroke on the selected object's mask, shown while it is drawn.

import { stroke } from "./annotate.js";
import { $ } from "./dom.js";
import { note } from "./messages.js";
import { at, scale } from "./stage.js";
import { on, store } from "./store.js";

let painting = null; // {points, erase}

const radius = () => Number($("radius").value) * scale(); // video pixels; the slider has screen's

export function begin(point, erase) {
  if (erase && store.selected === null) return note("Select the object first, then erase from its mask.");
  painting = { points: [point], erase };
  show();
}

export function move(point) {
  ring(point);
  if (!painting) return;
  const last = painting.points.at(-1);
  if (Math.hypot(point.x - last.x, point.y - last.y) < Math.max(0.5, radius() / 4)) return;
  painting.points.push(point);
  show();
}

// Send the stroke; returns whether there was one.
export function end() {
  if (!painting) return false;
  const { points, erase } = painting;
  const isNew = store.fresh;
  store.fresh = false;
  stroke(points.map(({ x, y }) => [x, y]).slice(0, 5000), radius(), erase, isNew).finally(() => painting || clear());
  painting = null;
  return true;
}

export function cancel() {
  const was = painting !== null;
  painting = null;
  clear();
  return was;
}

export function leave() {
  $("ring").hidden = true;
}

// The size of the brush, around the pointer.
function ring(point) {
  const chosen = document.querySelector("input[name=sign]:checked").value;
  $("ring").hidden = !["brush", "erase"].includes(chosen);
  const share = (200 * radius()) / store.video.width;
  Object.assign($("ring").style, { ...at(point.x, point.y), width: `${share}%` });
}

function show() {
  const pen = $("strokes").getContext("2d");
  clear();
  pen.lineWidth = 2 * radius();
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = painting.erase ? "rgb(0 0 0 / .6)" : "rgb(255 255 255 / .7)";
  pen.beginPath();
  painting.points.forEach(({ x, y }, k) => (k ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  if (painting.points.length === 1) pen.lineTo(painting.points[0].x + 0.01, painting.points[0].y);
  pen.stroke();
}

function clear() {
  const canvas = $("strokes");
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

export function choose(name) {
  const input = document.querySelector(`input[name=sign][value=${name}]`);
  input.checked = true;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

export function grow(by) {
  $("radius").value = Number($("radius").value) + by;
}

export function setUp() {
  on("session", () => Object.assign($("strokes"), { width: store.video.width, height: store.video.height }));
  for (const input of document.querySelectorAll("input[name=sign]"))
    input.addEventListener("change", () => {
      const paints = ["brush", "erase"].includes(document.querySelector("input[name=sign]:checked").value);
      $("radius-part").hidden = !paints;
      if (!paints) leave();
    });
}
