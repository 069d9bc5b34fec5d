// Spans by hand: ends that are dragged in the lanes, and keys at the current frame.

import { laneOf, setSpans } from "./annotate.js";
import { element } from "./dom.js";
import { note, occupied } from "./messages.js";
import { settled } from "./session.js";
import { objectOf, sameRelation, store } from "./store.js";

const last = () => store.video.num_frames - 1;

// Sorted and disjoint: spans that overlap or touch are one.
export function tidy(spans) {
  const made = [];
  for (const [a, b] of spans.filter(([x, y]) => x <= y).sort((p, q) => p[0] - q[0])) {
    if (made.length && a <= made.at(-1)[1] + 1) made.at(-1)[1] = Math.max(b, made.at(-1)[1]);
    else made.push([a, b]);
  }
  return made;
}

// The lane that keys change: of the chosen relation, else of the selected object.
function current() {
  const { chosen, selected } = store;
  if (chosen) {
    const found = store.relations.find((r) => sameRelation(r, chosen));
    return found && { lane: laneOf(found), spans: found.spans, name: found.predicate };
  }
  const object = objectOf(selected);
  return object && { lane: selected, spans: object.lanes, name: object.category };
}

async function edit(act) {
  if (occupied()) return undefined;
  const { frame } = store; // when the key was pressed
  await settled(); // a relation that was drawn just before is there
  const lane = current();
  if (!lane) return note("Choose a relation or an object first.");
  const spans = act(lane.spans.map((span) => [...span]), frame);
  return spans && setSpans(lane.lane, spans);
}

const around = (spans, t) => spans.findIndex(([a, b]) => a <= t && t <= b);

// It begins at this frame: the span around it, else the next one, else a new one to the end.
export const begin = () => edit((spans, t) => {
  let k = around(spans, t);
  if (k < 0) k = spans.findIndex(([a]) => a > t);
  if (k < 0) return tidy([...spans, [t, last()]]);
  spans[k][0] = t;
  return tidy(spans);
});

// It ends at this frame: the span around it, else the one before, else a new one from the start.
export const end = () => edit((spans, t) => {
  let k = around(spans, t);
  if (k < 0) k = spans.findLastIndex(([, b]) => b < t);
  if (k < 0) return tidy([[0, t], ...spans]);
  spans[k][1] = t;
  return tidy(spans);
});

// It does not hold on this frame any more, and goes on after it.
export const split = () => edit((spans, t) => {
  const k = around(spans, t);
  if (k < 0 || spans[k][0] === spans[k][1]) return note("Go to a frame within a span to split it there.");
  const [a, b] = spans[k];
  return tidy([...spans.slice(0, k), [a, t - 1], [t + 1, b], ...spans.slice(k + 1)]);
});

// The span at this frame, or before it, and the next one are one.
export const join = () => edit((spans, t) => {
  const k = spans.findLastIndex(([a]) => a <= t);
  if (k < 0 || k + 1 >= spans.length) return note("Go to the first of two spans to join it with the next.");
  spans[k][1] = spans[k + 1][1];
  return tidy(spans);
});

// Delete the span at this frame, or the only one.
export const remove = () => edit((spans, t) => {
  const k = spans.length === 1 ? 0 : around(spans, t);
  if (k < 0) return note("Go to the span to delete it.");
  return spans.filter((_, other) => other !== k);
});

// Handles at both ends of a bar; `along` gives the place of a span in its lane.
export function handles(lane, spans, index, along, key) {
  return [0, 1].map((side) => {
    const [a, b] = spans[index];
    const made = element("i", { class: side ? "end out" : "end in", "data-testid": "span-end", "data-key": `${key}-${index}-${side}`, title: `Drag: ${side ? "last" : "first"} frame`, "aria-hidden": "true" });
    const box = along([a, b]);
    Object.assign(made.style, { left: side ? `calc(${box.left} + ${box.width})` : box.left });
    // Not `made`: an element that is there already takes its listener over.
    made.onpointerdown = (event) => grab(event, event.currentTarget, lane, spans, index, side, along);
    return made;
  });
}

function grab(event, handle, lane, spans, index, side, along) {
  if (event.button) return;
  event.preventDefault();
  event.stopPropagation();
  if (occupied()) return;
  const room = handle.parentElement.getBoundingClientRect();
  const span = [...spans[index]];
  const frameAt = (x) => Math.max(0, Math.min(last(), Math.round(((x - room.left) / room.width) * last())));
  const bar = handle.parentElement.querySelectorAll(".span")[index];
  store.dragging = true; // the lanes are not drawn anew under the pointer
  const move = ({ clientX }) => {
    const t = frameAt(clientX);
    span[side] = side ? Math.max(t, span[0]) : Math.min(t, span[1]);
    const box = along(span);
    Object.assign(bar.style, box);
    handle.style.left = side ? `calc(${box.left} + ${box.width})` : box.left;
  };
  const done = (ended) => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", done);
    removeEventListener("pointercancel", done);
    store.dragging = false;
    const same = span[0] === spans[index][0] && span[1] === spans[index][1];
    const kept = ended.type === "pointercancel" || same ? spans : tidy(spans.map((other, k) => (k === index ? span : other)));
    if (kept === spans) Object.assign(bar.style, along(spans[index]));
    else setSpans(lane, kept);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", done);
  addEventListener("pointercancel", done);
}
