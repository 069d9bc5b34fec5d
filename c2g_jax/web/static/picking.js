// Which object is where, and choosing a second one: to relate to, or to be the same as.

import { $ } from "./dom.js";
import { unpack } from "./masks.js";
import { note, occupied } from "./messages.js";
import { merge } from "./annotate.js";
import { chooseRelation } from "./correct.js";
import { emit, isSuggested, nameOf, objectOf, store, view } from "./store.js";

const HELD = 64;
const masks = new Map(); // counts -> {mask, width, box}

function unpacked(rle) {
  let found = masks.get(rle.counts);
  if (!found) {
    found = unpack(rle);
    masks.set(rle.counts, found);
    if (masks.size > HELD) masks.delete(masks.keys().next().value);
  }
  return found;
}

// The smallest shown object at a pixel of the video; null if there is none. What is only
// suggested is behind what a person has.
export function objectAt({ x, y }, { mine = false, frame = store.frame } = {}) {
  const seen = frame === store.frame ? view() : store.views.get(frame);
  const here = (seen?.objects ?? []).filter(({ object_id: id, rle }) => {
    if (!rle || store.hidden.has(id)) return false;
    const { mask, width } = unpacked(rle);
    return mask[Math.floor(y) * width + Math.floor(x)];
  });
  // A drag from the selected object's mask begins at it, whatever lies over it.
  if (mine && here.some((o) => o.object_id === store.selected)) return store.selected;
  const area = (o) => unpacked(o.rle).box.area;
  here.sort((a, b) => isSuggested(a) - isSuggested(b) || area(a) - area(b));
  return here[0]?.object_id ?? null;
}

// Begin to choose: what is "relate" or "same".
export function pick(what) {
  const from = store.selected;
  if (from === null || !objectOf(from)) return note("Select an object first.");
  if (occupied()) return undefined;
  store.picking = { what, from };
  store.adding = null;
  emit("selection");
}

export function stopPicking() {
  const was = store.picking !== null;
  store.picking = null;
  if (was) emit("selection");
  return was;
}

// The other object is chosen, in the picture, the list or the graph.
export function picked(id) {
  const { what, from } = store.picking;
  store.picking = null;
  emit("selection");
  if (id === from) return note("That is the same object: choose another.");
  if (what === "same") return merge(from, id);
  return chooseRelation(from, id);
}

// A line from one object to another while a person drags; null takes it away.
export function arrow(from, to) {
  const line = $("arrow");
  line.toggleAttribute("hidden", !from);
  if (!from) return;
  const { width, height } = store.video;
  line.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const [name, value] of Object.entries({ x1: from.x, y1: from.y, x2: to.x, y2: to.y })) line.firstElementChild.setAttribute(name, value);
}

export const pickingText = () => {
  const { what, from } = store.picking;
  return what === "same" ? `Choose the object that is the same as ${nameOf(from)}, in the picture or the list (Esc: none).`
    : `Choose what ${nameOf(from)} is related to: an object, or a place that has none yet (Esc: nothing).`;
};
