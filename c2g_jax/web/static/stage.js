// The current frame with masks and prompts; clicks, boxes and the keyboard cursor.

import { $, element, replace } from "./dom.js";
import { colour, css, paint } from "./masks.js";
import { note } from "./messages.js";
import { cutOut, loadAhead, picture } from "./pictures.js";
import { deletePrompt, prompt } from "./session.js";
import { endsOf, isGiven, nameOf, objectOf, on, relationsNow, store, view } from "./store.js";

const DRAG = 6; // screen pixels from which on a click is a drag
let drag = null;
let cursor = null; // keyboard cursor {x, y, corner}, in video pixels
let shown = -1; // the frame that is drawn

export const sign = () => document.querySelector("input[name=sign]:checked").value === "include";

function size() {
  if (!store.video) return;
  const { width, height } = store.video;
  const room = $("stage").parentElement;
  const narrow = matchMedia("(max-width: 800px)").matches;
  const most = narrow ? innerHeight * 0.55 : room.clientHeight;
  const scale = Math.min(room.clientWidth / width, most / height);
  $("stage").style.width = `${Math.floor(width * scale)}px`;
  $("stage").style.height = `${Math.floor(height * scale)}px`;
  draw();
}

const scale = () => store.video.width / ($("stage").clientWidth || 1); // video pixels per screen pixel

async function showFrame() {
  const { frame } = store;
  const image = picture(frame);
  if (!image.complete) await image.ready;
  if (store.frame !== frame || !image.naturalWidth) return;
  $("picture").getContext("2d").drawImage(image, 0, 0, store.video.width, store.video.height);
  shown = frame;
  loadAhead(frame);
  draw();
}

function draw() {
  const canvas = $("masks");
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const found = shown === store.frame ? view() : null;
  const related = endsOf(relationsNow());
  const drawn = [];
  for (const object of found?.objects ?? []) {
    const id = object.object_id;
    if (!object.rle || store.hidden.has(id)) continue;
    const lit = store.chosen && [store.chosen.subject_id, store.chosen.object_id].includes(id);
    const dim = store.chosen && !lit;
    const strong = lit || (!store.chosen && id === store.selected);
    // Discovered objects without a confident relation on this frame are drawn faintly.
    const given = isGiven(object);
    const quiet = !strong && !given && !related.has(id);
    const line = Math.max(1, Math.round(scale() * (strong ? 3 : 1.6)));
    const { canvas: mask, box } = paint(object.rle, colour(id), strong ? 0.5 : quiet ? 0.06 : 0.36, line);
    pen.globalAlpha = dim ? 0.2 : quiet ? 0.4 : 1;
    pen.drawImage(mask, 0, 0);
    if (box.area) drawn.push({ id, box, dim, quiet, rank: strong ? 0 : given ? 1 : 2 });
  }
  pen.globalAlpha = 1;
  const named = drawn.filter((one) => !one.quiet).sort((a, b) => a.rank - b.rank);
  const taken = [];
  $("tags").replaceChildren(...named.map((one) => tag(one, taken)).filter(Boolean));
  $("masks").dataset.objects = drawn.length;
  replace($("dots"), (found?.objects ?? []).flatMap(dots));
  if (found && shown === store.frame) cutOut(picture(shown));
}

const at = (x, y) => ({ left: `${(100 * x) / store.video.width}%`, top: `${(100 * y) / store.video.height}%` });

// A name tag above, below or on its mask, where no other tag is. If all three places are taken,
// only selected and prompted objects get a tag.
function tag({ id, box, dim, rank }, taken) {
  const { width, height } = store.video;
  const text = nameOf(id);
  const half = [((text.length * 7 + 14) / 2) * scale(), 10 * scale()]; // approximate half size of the tag
  const x = Math.min(Math.max((box.x0 + box.x1) / 2, half[0]), width - half[0]);
  const places = [box.y0 - 1.3 * half[1], box.y1 + 1.3 * half[1], (box.y0 + box.y1) / 2]
    .map((y) => Math.min(Math.max(y, half[1]), height - half[1]));
  const meets = (y) => taken.some((t) => Math.abs(t.x - x) < t.half[0] + half[0] && Math.abs(t.y - y) < 2 * half[1]);
  const free = places.find((place) => !meets(place));
  if (free === undefined && rank === 2) return null;
  const y = free ?? places[0];
  taken.push({ x, y, half });
  const style = { ...at(x, y), borderColor: css(id) };
  return element("span", { class: dim ? "tag dim" : "tag", style }, text);
}

function dots(object) {
  const id = object.object_id;
  if (store.hidden.has(id)) return [];
  return object.prompts.flatMap((given, index) => {
    const act = (event) => { event.stopPropagation(); deletePrompt(id, index); };
    const common = { type: "button", onclick: act, "data-key": `dot-${id}-${index}`, "data-testid": "dot", title: "Delete" };
    if (given.kind === "point") {
      const plus = given.label === 1;
      const label = `Delete the ${plus ? "include" : "exclude"} point of object ${id} at ${Math.round(given.x)}, ${Math.round(given.y)}`;
      return element("button", { ...common, class: plus ? "dot" : "dot minus", style: at(given.x, given.y), "aria-label": label }, plus ? "+" : "−");
    }
    if (given.kind !== "box") return [];
    const [x1, y1, x2, y2] = given.box;
    const span = { width: `${(100 * (x2 - x1)) / store.video.width}%`, height: `${(100 * (y2 - y1)) / store.video.height}%` };
    return [
      element("div", { class: "frame-box", style: { ...at(x1, y1), ...span } }),
      element("button", { ...common, class: "dot corner", style: at(x1, y1), "aria-label": `Delete the box of object ${id}` }, "×"),
    ];
  });
}

// Video pixel under the pointer, clamped to the frame.
function place(event) {
  const box = $("stage").getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * store.video.width;
  const y = ((event.clientY - box.top) / box.height) * store.video.height;
  return inside(x, y);
}

const inside = (x, y) => ({
  x: Math.max(0, Math.min(store.video.width - 0.01, x)),
  y: Math.max(0, Math.min(store.video.height - 0.01, y)),
});

export function click({ x, y }, positive) {
  if (store.tracking) return note("Tracking is running: cancel it first (Esc).");
  if (store.adding !== null && positive) return prompt({ kind: "object", x, y, subject_id: store.adding });
  if (!positive && store.selected === null) return note("Select the object in the list first, then exclude points from it.");
  return prompt({ kind: "point", x, y, positive, object_id: store.selected });
}

function box(a, b) {
  if (store.tracking) return note("Tracking is running: cancel it first (Esc).");
  const [x1, x2] = [Math.min(a.x, b.x), Math.max(a.x, b.x)];
  const [y1, y2] = [Math.min(a.y, b.y), Math.max(a.y, b.y)];
  return prompt({ kind: "box", x1, y1, x2, y2, object_id: store.selected });
}

function rubber(a, b) {
  const style = at(Math.min(a.x, b.x), Math.min(a.y, b.y));
  style.width = `${(100 * Math.abs(a.x - b.x)) / store.video.width}%`;
  style.height = `${(100 * Math.abs(a.y - b.y)) / store.video.height}%`;
  Object.assign($("rubber").style, style);
  $("rubber").hidden = false;
}

function pointing() {
  const stage = $("stage");
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("pointerdown", (event) => {
    if (!store.video || event.target.closest(".dot") || event.button === 1) return;
    drag = { from: place(event), at: [event.clientX, event.clientY], moved: false, right: event.button === 2 };
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!drag || drag.right) return;
    const [x, y] = drag.at;
    drag.moved ||= Math.hypot(event.clientX - x, event.clientY - y) > DRAG;
    if (drag.moved) rubber(drag.from, place(event));
  });
  stage.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { from, moved, right } = drag;
    stop();
    if (moved) box(from, place(event));
    else click(from, right ? !sign() : sign());
  });
  stage.addEventListener("pointercancel", stop);
}

// Cancel a drag or the keyboard cursor; returns whether there was one.
export function stop() {
  const was = drag !== null || cursor !== null;
  drag = cursor = null;
  $("rubber").hidden = $("cursor").hidden = true;
  return was;
}

// Handle a key of the keyboard cursor; returns whether it was one.
export function cursorKey(event) {
  if (cursor === null) return false;
  const step = (event.shiftKey ? 10 : 2) * scale();
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key in moves) {
    const [dx, dy] = moves[event.key];
    Object.assign(cursor, inside(cursor.x + dx * step, cursor.y + dy * step));
  } else if (event.key === "Enter" && cursor.corner) {
    const from = cursor.corner;
    cursor.corner = null;
    $("rubber").hidden = true;
    box(from, cursor);
  } else if (event.key === "Enter") click({ ...cursor }, sign());
  else if (event.key === "-") click({ ...cursor }, false);
  else if (event.key === "b") cursor.corner = { x: cursor.x, y: cursor.y };
  else return false;
  showCursor();
  return true;
}

export function startCursor() {
  if (!store.video) return;
  cursor = { x: store.video.width / 2, y: store.video.height / 2, corner: null };
  $("stage").focus({ preventScroll: true });
  note("Cursor: arrows move it, Enter clicks, minus excludes, B starts a box, Esc ends.");
  showCursor();
}

function showCursor() {
  $("cursor").hidden = false;
  Object.assign($("cursor").style, at(cursor.x, cursor.y));
  if (cursor.corner) rubber(cursor.corner, cursor);
}

function target() {
  const chosen = objectOf(store.selected);
  const text = store.adding !== null
    ? `Click on an object related to ${nameOf(store.adding)}.`
    : chosen ? `Clicks correct ${nameOf(chosen.object_id)}.` : "Click on a subject.";
  $("target").textContent = text;
}

export function setUp() {
  pointing();
  new ResizeObserver(size).observe($("stage").parentElement);
  on("session", () => {
    for (const id of ["picture", "masks"]) {
      $(id).width = store.video.width;
      $(id).height = store.video.height;
    }
    shown = -1;
    stop();
    $("stage").hidden = false;
    $("empty").hidden = true;
    size();
  });
  on("session frame", () => { draw(); showFrame(); });
  on("view summary selection chosen threshold", () => store.video && draw());
  on("selection summary", target);
  target();
}
