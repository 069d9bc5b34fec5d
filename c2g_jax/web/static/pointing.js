// The pointer and the keyboard cursor on the picture: clicks, boxes, relations, strokes.

import * as brush from "./brush.js";
import { $ } from "./dom.js";
import { chooseRelation } from "./correct.js";
import { note, occupied } from "./messages.js";
import { arrow, objectAt, picked } from "./picking.js";
import { pause } from "./playback.js";
import { prompt, settled } from "./session.js";
import { at, scale, withKey } from "./stage.js";
import { emit, store } from "./store.js";

const DRAG = 6; // screen pixels from which on a click is a drag
const TWIN = 10; // screen pixels within which a second click is the same one
const TWICE = 600; // ms within which it is
let last = null; // {x, y, time} of the last click that made a prompt
let drag = null;
let cursor = null; // keyboard cursor {x, y, corner}, in video pixels

const tool = () => document.querySelector("input[name=sign]:checked").value;
export const sign = () => tool() !== "exclude";

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

const near = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) < TWIN * scale();

// A click selects the object under it; `add`: it belongs to the selected one; `fresh`: it makes
// a new one. Where there is no object it adds to the selected one, or makes a subject. What is
// there, and what is selected, is that of its turn, after the clicks before it.
export function click({ x, y }, positive, { add = false, fresh = false } = {}) {
  if (occupied()) return undefined;
  const { picking, adding } = store;
  if (positive && !picking) {
    const twin = store.pending.some((one) => one.kind !== "box" && near(one, { x, y }));
    const twice = last && near(last, { x, y }) && performance.now() - last.time < TWICE;
    if (!add && (twin || twice)) return undefined;
    if (adding === null) last = { x, y, time: performance.now() };
  }
  const isNew = positive && !picking && (fresh || store.fresh);
  if (isNew) store.fresh = false;
  const mark = { kind: "point", x, y, positive };
  return prompt(mark, (frame) => {
    if (occupied()) return null;
    const hit = objectAt({ x, y }, { frame });
    if (picking) {
      if (store.picking === picking) pickAt(hit, { x, y });
      return null;
    }
    if (!positive && store.selected === null) {
      note("Select the object in the list first, then exclude points from it.");
      return null;
    }
    if (positive && adding !== null && store.adding === adding) return { kind: "object", x, y, subject_id: adding };
    if (isNew) return { ...mark, object_id: null };
    if (positive && hit !== null && !add) {
      if (hit !== store.selected) select(hit);
      return null;
    }
    return { ...mark, object_id: store.selected };
  });
}

function select(id) {
  Object.assign(store, { selected: id, adding: null, several: new Set() });
  emit("selection");
}

// The second object of a relation: one that is there, or one that the click makes.
async function pickAt(hit, { x, y }) {
  const { what, from } = store.picking;
  if (hit !== null) return picked(hit);
  if (what === "same") return note("No object is there: choose one in the picture or the list.");
  store.picking = null;
  const before = new Set(store.objects.map((o) => o.object_id));
  await prompt({ kind: "object", x, y, subject_id: from });
  await settled();
  const made = store.objects.find((o) => !before.has(o.object_id));
  if (made) return chooseRelation(from, made.object_id);
}

function box(a, b) {
  if (occupied()) return undefined;
  const [x1, x2] = [Math.min(a.x, b.x), Math.max(a.x, b.x)];
  const [y1, y2] = [Math.min(a.y, b.y), Math.max(a.y, b.y)];
  const isNew = store.fresh;
  store.fresh = false;
  const mark = { kind: "box", x1, y1, x2, y2 };
  return prompt(mark, () => (occupied() ? null : { ...mark, object_id: isNew ? null : store.selected }));
}

function rubber(a, b) {
  const style = at(Math.min(a.x, b.x), Math.min(a.y, b.y));
  style.width = `${(100 * Math.abs(a.x - b.x)) / store.video.width}%`;
  style.height = `${(100 * Math.abs(a.y - b.y)) / store.video.height}%`;
  Object.assign($("rubber").style, style);
  $("rubber").hidden = false;
}

// The object that a drag from a mask has reached, if it is another one.
function reached(event) {
  if (drag.start === null || event.shiftKey || store.fresh) return null;
  const found = objectAt(place(event));
  return found === drag.start ? null : found;
}

function moved(event) {
  const [x, y] = drag.at;
  drag.moved ||= Math.hypot(event.clientX - x, event.clientY - y) > DRAG;
  if (!drag.moved) return;
  const to = reached(event);
  $("rubber").hidden = to !== null;
  arrow(to === null ? null : drag.from, place(event));
  if (to === null) rubber(drag.from, place(event));
}

// A plain press on a dot deletes it; with a key, or the other button, it is a click at its place.
const onDot = (event) => event.target.closest(".dot") && event.button === 0 && !withKey(event);

function pointing() {
  const stage = $("stage");
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("pointerdown", (event) => {
    if (!store.video || onDot(event) || event.button === 1) return;
    pause();
    stage.setPointerCapture(event.pointerId);
    const from = place(event);
    if (event.button === 0 && ["brush", "erase"].includes(tool())) {
      if (!occupied()) brush.begin(from, tool() === "erase");
      return;
    }
    drag = { from, at: [event.clientX, event.clientY], moved: false, right: event.button === 2, start: objectAt(from, { mine: true }) };
  });
  stage.addEventListener("pointermove", (event) => {
    if (store.video) brush.move(place(event));
    if (drag && !drag.right) moved(event);
  });
  stage.addEventListener("pointerleave", () => brush.leave());
  stage.addEventListener("pointerup", (event) => {
    if (brush.end()) return;
    if (!drag) return;
    const { from, right, start, moved: far } = drag;
    const to = far ? reached(event) : null;
    stop();
    if (to !== null) {
      if (!occupied()) chooseRelation(start, to);
    } else if (far) box(from, place(event));
    else click(from, right ? !sign() : sign(), { add: event.shiftKey || right, fresh: event.ctrlKey || event.metaKey || event.altKey });
  });
  stage.addEventListener("pointercancel", stop);
}

// Cancel a drag, a stroke or the keyboard cursor; returns whether there was one.
export function stop() {
  const was = drag !== null || cursor !== null || brush.cancel();
  drag = cursor = null;
  $("rubber").hidden = $("cursor").hidden = true;
  arrow(null);
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
  } else if (event.key === "Enter") click({ ...cursor }, sign(), { add: event.shiftKey });
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

export function setUp() {
  pointing();
}
