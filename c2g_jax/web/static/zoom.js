// Size and place of the picture in its room: it fits, or a person zooms and pans.

import { $ } from "./dom.js";
import { emit, on, store } from "./store.js";

const MOST = 12;
let zoom = 1; // 1: the whole frame fits
let centre = { x: 0.5, y: 0.5 }; // what is in the middle of the room, as a share of the frame
let pan = null; // pointer position of the last move of a pan

const room = () => $("stage").parentElement;
export const narrow = () => matchMedia("(max-width: 800px)").matches;
export const zoomed = () => zoom > 1;

function place() {
  if (!store.video) return;
  const { width, height } = store.video;
  const { clientWidth: wide, clientHeight: high } = room();
  const scale = Math.min(wide / width, high / height) * zoom;
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  // The frame fills the room as far as it can: no empty strip on one side alone.
  const held = (share, size, space) => (size <= space ? 0.5 : Math.min(Math.max(share, space / 2 / size), 1 - space / 2 / size));
  centre = { x: held(centre.x, w, wide), y: held(centre.y, h, high) };
  Object.assign($("stage").style, {
    width: `${w}px`, height: `${h}px`,
    left: `${Math.round(wide / 2 - centre.x * w)}px`, top: `${Math.round(high / 2 - centre.y * h)}px`,
  });
  $("fit").hidden = !zoomed();
  $("fit").textContent = `${zoom.toFixed(1)}× · Fit`;
  emit("zoom");
}

// Zoom by a factor; the point under (x, y), in the window, stays where it is.
function zoomBy(factor, x, y) {
  const box = $("stage").getBoundingClientRect();
  const space = room().getBoundingClientRect();
  const before = zoom;
  zoom = Math.min(MOST, Math.max(1, zoom * factor));
  const grown = zoom / before;
  const middle = { x: space.left + space.width / 2, y: space.top + space.height / 2 };
  const share = { x: (x - box.left) / box.width, y: (y - box.top) / box.height };
  centre = {
    x: share.x + (middle.x - x) / (box.width * grown),
    y: share.y + (middle.y - y) / (box.height * grown),
  };
  place();
}

function move(dx, dy) {
  const box = $("stage").getBoundingClientRect();
  centre = { x: centre.x - dx / box.width, y: centre.y - dy / box.height };
  place();
}

export function fit() {
  zoom = 1;
  place();
}

export function zoomIn(factor) {
  const space = room().getBoundingClientRect();
  zoomBy(factor, space.left + space.width / 2, space.top + space.height / 2);
}

function wheel(event) {
  if (!store.video || (narrow() && !event.ctrlKey)) return; // on a phone the page scrolls
  event.preventDefault();
  const sideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
  if (sideways && !event.ctrlKey) return move(-(event.deltaX || event.deltaY), event.deltaX ? -event.deltaY : 0);
  const step = event.deltaMode === 1 ? 18 * event.deltaY : event.deltaY;
  zoomBy(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.002)), event.clientX, event.clientY);
}

export function setUp() {
  const area = room();
  area.addEventListener("wheel", wheel, { passive: false });
  area.addEventListener("pointerdown", (event) => {
    if (event.button !== 1 || !zoomed()) return;
    event.preventDefault();
    pan = [event.clientX, event.clientY];
    area.setPointerCapture(event.pointerId);
  });
  area.addEventListener("pointermove", (event) => {
    if (!pan) return;
    move(event.clientX - pan[0], event.clientY - pan[1]);
    pan = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) area.addEventListener(end, () => { pan = null; });
  $("fit").addEventListener("click", fit);
  new ResizeObserver(place).observe(area);
  on("session", () => {
    document.documentElement.style.setProperty("--ratio", store.video.width / store.video.height);
    centre = { x: 0.5, y: 0.5 };
    fit();
  });
}
