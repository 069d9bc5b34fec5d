// Keyboard shortcuts, and the help that lists them.

import { acceptAbove } from "./annotate.js";
import { correctObject } from "./correct.js";
import { $, element } from "./dom.js";
import * as brush from "./brush.js";
import { newSubject, removeSelected, toggleHidden } from "./objects.js";
import { pick, stopPicking } from "./picking.js";
import { step, togglePlay } from "./playback.js";
import { cursorKey, startCursor, stop } from "./pointing.js";
import { acceptChosen, dismissChosen, next } from "./review.js";
import { redo, settled, undo } from "./session.js";
import * as spans from "./spans.js";
import { emit, objectOf, store } from "./store.js";
import { cancel, track } from "./tracking.js";
import { fit, zoomIn } from "./zoom.js";

const KEYS = [
  ["Space", "Play or pause"],
  ["← →", "Previous or next frame"],
  ["Shift ← →", "Ten frames back or forward"],
  ["Home End", "First or last frame"],
  ["K", "Track"],
  ["N", "The next click adds a new subject"],
  ["Click", "Selects the object there; elsewhere it adds to the selected one, or makes a subject"],
  ["Shift Click", "Adds to the selected object"],
  ["Ctrl Click", "Makes a new subject, also on another object"],
  ["R", "Relate the selected object to another; or drag from mask to mask, or node to node"],
  ["I O", "The chosen relation, or the selected object, begins or ends at this frame"],
  ["S", "Split its span at this frame"],
  ["A D", "Accept or dismiss the chosen suggestion"],
  ["Shift A", "Accept all suggestions above the slider"],
  ["J", "The next one to decide, the least sure first"],
  ["B E", "Brush, eraser; [ and ] change their size"],
  ["X", "Switch between include and exclude"],
  ["C", "Keyboard cursor: arrows move it, Enter clicks, − excludes, B starts a box"],
  ["+ - 0", "Zoom in, out, and to the whole frame (so does the wheel; the middle button pans)"],
  ["Enter", "Name the selected object"],
  ["V", "Show or hide the selected object"],
  ["Delete", "Delete the span of the chosen relation, or remove the selected objects"],
  ["Ctrl Z", "Undo"],
  ["Ctrl Shift Z", "Redo"],
  ["Esc", "Cancel a box, tracking or a selection"],
  ["?", "This help"],
];

function flip() {
  const now = document.querySelector("input[name=sign]:checked").value;
  brush.choose(now === "include" ? "exclude" : "include");
}

// Esc ends one thing at a time: a box, the cursor, tracking, adding, a relation.
async function escape() {
  if (stop() || (await cancel())) return;
  if (stopPicking()) return;
  if (store.fresh) store.fresh = false;
  else if (store.chosen) store.chosen = null;
  else if (store.adding !== null) store.adding = null;
  else store.selected = null;
  emit("chosen", "selection");
}

// What is done with the selected object is done when the clicks so far are answered: they may have
// made the one that is meant.
const then = (act) => () => settled().then(act);

const remove = then(() => (store.chosen ? spans.remove() : removeSelected()));

const last = () => (store.video?.num_frames ?? 1) - 1;
const plain = {
  " ": togglePlay,
  ArrowLeft: (event) => step(event.shiftKey ? -10 : -1),
  ArrowRight: (event) => step(event.shiftKey ? 10 : 1),
  Home: () => step(-last()),
  End: () => step(last()),
  k: track,
  n: newSubject,
  x: flip,
  c: startCursor,
  v: then(() => store.selected !== null && toggleHidden(store.selected)),
  Delete: remove,
  Backspace: remove, // on a Mac, the key that is called delete
  r: then(() => pick("relate")),
  i: spans.begin,
  o: spans.end,
  s: spans.split,
  a: (event) => (event.shiftKey ? acceptAbove() : acceptChosen()),
  d: dismissChosen,
  j: next,
  b: () => brush.choose("brush"),
  e: () => brush.choose("erase"),
  "[": () => brush.grow(-3),
  "]": () => brush.grow(3),
  Escape: escape,
  "+": () => zoomIn(1.4),
  "=": () => zoomIn(1.4),
  "-": () => zoomIn(1 / 1.4),
  0: fit,
  Enter: then(() => objectOf(store.selected) && correctObject(objectOf(store.selected))),
  "?": () => $("help-dialog").showModal(),
};

function press(event) {
  if (document.querySelector("dialog[open]")) return;
  const { target } = event;
  const typing = target.closest("input:not([type=range]):not([type=radio]), textarea, [role=menu]");
  if (typing || event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    return key === "y" || event.shiftKey ? redo() : undo();
  }
  if (target.id === "stage" && cursorKey(event)) return event.preventDefault();
  // Enter on the row of the selected object names it; Space selects, and selects no more.
  const naming = event.key === "Enter" && target.dataset.key === `pick-${store.selected}` && !store.picking;
  const own = !naming && target.closest("button, a, select, [role=button], input[type=radio]") && [" ", "Enter"].includes(event.key);
  const choosing = target.closest("input[type=radio], select, #threshold") && /^(Arrow|Home|End)/.test(event.key);
  const act = plain[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || own || choosing) return;
  event.preventDefault();
  act(event);
}

export function setUp() {
  document.addEventListener("keydown", press);
  // A button pressed with the mouse must not receive the next Space or Enter.
  document.addEventListener("click", (event) => {
    if (event.detail > 0 && event.target.closest("main button, main [role=button], .toolbar label, .segments label, #undo, #redo"))
      $("stage").focus({ preventScroll: true });
  });
  $("keys").append(...KEYS.map(([keys, what]) =>
    element("tr", {}, element("td", {}, ...keys.split(" ").flatMap((key) => [element("kbd", {}, key), " "])), element("td", {}, what))));
  $("help").addEventListener("click", plain["?"]);
  $("undo").addEventListener("click", undo);
  $("redo").addEventListener("click", redo);
}
