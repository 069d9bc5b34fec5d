// Messages: notes that disappear, and errors that stay until they are closed.

import { $ } from "./dom.js";
import { store } from "./store.js";

export const BACK = "Undo (Ctrl+Z) brings it back.";
let timer = null;

export function note(text) {
  $("note").textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => ($("note").textContent = ""), 4000);
}

export function complain(error) {
  if (error?.name === "AbortError") return;
  const text = String(error?.message ?? error);
  $("note").textContent = ""; // one message over the picture
  $("alert").hidden = false;
  $("alert").querySelector("p").textContent = text[0].toUpperCase() + text.slice(1);
}

// Whether the model is at work on the whole video, when nothing can be changed: says so.
export function occupied() {
  const { tracking } = store;
  if (tracking) note(`${tracking.what === "find" ? "Everything is being found" : "The video is being tracked"}: cancel that first (Esc).`);
  return Boolean(tracking);
}

export function calm() {
  $("alert").hidden = true;
}

export function setUp() {
  new IntersectionObserver(([room]) => $("notes").classList.toggle("away", !room.isIntersecting)).observe($("notes").parentElement);
  $("alert").querySelector("button").addEventListener("click", calm);
}
