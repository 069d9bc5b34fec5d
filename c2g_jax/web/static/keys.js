// Keyboard shortcuts, and the help that lists them.

import { $, element } from "./dom.js";
import { newSubject, toggleHidden } from "./objects.js";
import { step, togglePlay } from "./playback.js";
import { redo, removeObject, undo } from "./session.js";
import { cursorKey, startCursor, stop } from "./stage.js";
import { emit, store } from "./store.js";
import { cancel, track } from "./tracking.js";

const KEYS = [
  ["Space", "Play or pause"],
  ["← →", "Previous or next frame"],
  ["Shift ← →", "Ten frames back or forward"],
  ["Home End", "First or last frame"],
  ["K", "Track"],
  ["N", "The next click adds a new subject"],
  ["X", "Switch between include and exclude"],
  ["C", "Keyboard cursor: arrows move it, Enter clicks, − excludes, B starts a box"],
  ["V", "Show or hide the selected object"],
  ["Delete", "Remove the selected object"],
  ["Ctrl Z", "Undo"],
  ["Ctrl Shift Z", "Redo"],
  ["Esc", "Cancel a box, tracking or a selection"],
  ["?", "This help"],
];

function flip() {
  const other = document.querySelector("input[name=sign]:not(:checked)");
  other.checked = true;
}

// Esc ends one thing at a time: a box, the cursor, tracking, adding, a relation.
async function escape() {
  if (stop() || (await cancel())) return;
  if (store.chosen) store.chosen = null;
  else if (store.adding !== null) store.adding = null;
  else store.selected = null;
  emit("chosen", "selection");
}

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
  v: () => store.selected !== null && toggleHidden(store.selected),
  Delete: () => store.selected !== null && removeObject(store.selected),
  Escape: escape,
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
  const own = target.closest("button, a, select, [role=button], input[type=radio]") && [" ", "Enter"].includes(event.key);
  const choosing = target.closest("input[type=radio], select, #threshold") && /^(Arrow|Home|End)/.test(event.key);
  const act = plain[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || own || choosing) return;
  event.preventDefault();
  act(event);
}

export function setUp() {
  document.addEventListener("keydown", press);
  // A button pressed with the mouse must not receive the next Space or Enter.
  document.querySelector("main").addEventListener("click", (event) => {
    if (event.detail > 0 && event.target.closest(".transport button, .toolbar button, .toolbar label"))
      $("stage").focus({ preventScroll: true });
  });
  $("keys").append(...KEYS.map(([keys, what]) =>
    element("tr", {}, element("td", {}, ...keys.split(" ").flatMap((key) => [element("kbd", {}, key), " "])), element("td", {}, what))));
  $("help").addEventListener("click", plain["?"]);
  $("undo").addEventListener("click", undo);
  $("redo").addEventListener("click", redo);
}
