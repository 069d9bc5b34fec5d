// A lane for each object, and a bar for each span of a relation.

import { $, element, icon, replace } from "./dom.js";
import { correctRelation } from "./correct.js";
import { css } from "./masks.js";
import { goTo } from "./session.js";
import { laneOf } from "./annotate.js";
import { handles } from "./spans.js";
import { emit, endsOf, isGiven, isSuggested, nameOf, on, percent, sameRelation, store } from "./store.js";
import { reveal } from "./objects.js";
import { pause } from "./playback.js";

let known = { id: null, keys: new Set() }; // lanes that were there before
const count = () => store.video?.num_frames ?? 1;
// Position of a frame on the scrubber in percent: 0 for the first frame, 100 for the last.
const share = (frame) => (count() > 1 ? (100 * frame) / (count() - 1) : 0);

function along([first, last]) {
  const half = count() > 1 ? 50 / (count() - 1) : 100;
  const left = Math.max(0, share(first) - half);
  const right = Math.min(100, share(last) + half);
  return { left: `${left}%`, width: `${right - left}%` };
}

export function spansOf(frames) {
  const spans = [];
  for (const t of frames) {
    if (spans.length && spans.at(-1)[1] === t - 1) spans.at(-1)[1] = t;
    else spans.push([t, t]);
  }
  return spans;
}

export function choose(relation, span) {
  pause();
  store.chosen = { ...relation, span };
  emit("chosen");
  if (span && (store.frame < span[0] || store.frame > span[1])) goTo(span[0]);
}

function objectLane(object) {
  const id = object.object_id;
  const bars = object.lanes.map((span) =>
    element("div", { class: "span", style: { ...along(span), background: css(id) } }));
  const ends = object.lanes.flatMap((_, k) => handles(id, object.lanes, k, along, `lane-${id}`));
  const marks = object.prompted.map((t) => element("div", { class: "mark", style: { left: `${share(t)}%` } }));
  const visible = object.lanes.map(([a, b]) => `${a} to ${b}`).join(", ") || "none";
  return element("div", { class: "lane", "data-testid": "object-lane", "data-key": `lane-${id}`, role: "group", "aria-label": `${nameOf(id)}: visible on frames ${visible}` },
    element("div", { class: "lane-name" }, element("span", { class: "chip", style: { background: css(id) } }), element("span", { title: nameOf(id) }, nameOf(id))),
    element("div", { class: "lane-room" }, ...bars, ...ends, ...marks));
}

function relationLane(relation) {
  const { subject_id, object_id, predicate, score, fixed } = relation;
  const text = `${nameOf(subject_id)} ${predicate} ${nameOf(object_id)}`;
  const guess = isSuggested(relation);
  const key = `${subject_id}-${object_id}-${predicate}${guess ? "-guess" : ""}`;
  const sure = fixed ? "set by you" : percent(score);
  const bars = relation.spans.map((span) => {
    const chosen = sameRelation(store.chosen, relation);
    return element("button", {
      class: `span${chosen ? " chosen" : ""}${guess ? " guess" : ""}`, type: "button", style: along(span),
      "aria-label": `${text}, frames ${span[0]} to ${span[1]}, ${sure}`, "aria-pressed": String(chosen),
      title: `${text} · ${sure}`, "data-testid": "relation-bar", "data-key": `${key}-${span[0]}`,
      onclick: () => { choose(relation, span); goTo(span[0]); },
    }, predicate);
  });
  const ends = relation.spans.flatMap((_, k) => handles(laneOf(relation), relation.spans, k, along, key));
  return element("div", { class: "lane pair", "data-testid": "relation-lane", "data-key": `lane-${key}` },
    element("div", { class: "lane-name" },
      element("span", { class: "chip", style: { background: css(subject_id) } }), element("span", { class: "chip", style: { background: css(object_id) } }),
      element("span", { title: text }, text),
      element("button", {
        class: "bare icon", type: "button", "aria-label": `Correct: ${text}`, title: "Correct", "data-key": `edit-${key}`,
        "data-testid": "relation-edit", onclick: () => correctRelation(relation, relation.spans[0]),
      }, icon("edit"))),
    element("div", { class: "lane-room" }, ...bars, ...ends));
}

function build() {
  if (store.dragging) return;
  const stale = new Set(store.stale);
  const done = store.tracked.filter((t) => !stale.has(t));
  const marks = [[spansOf(done), ""], [spansOf(store.stale), "stale"]].flatMap(([spans, kind]) =>
    spans.map((span) => element("i", { class: kind, style: along(span) })));
  $("tracked").replaceChildren(...marks);
  // Discovered objects without relations come last.
  const related = endsOf(store.relations);
  const counts = (o) => !isSuggested(o) && (related.has(o.object_id) || isGiven(o));
  const rest = store.objects.filter((o) => !counts(o) && !isSuggested(o));
  replace($("lanes"), [
    ...store.objects.filter(counts).map(objectLane), ...store.relations.map(relationLane), ...rest.map(objectLane),
  ]);
  const keys = [...$("lanes").children].map((lane) => lane.dataset.key);
  const fresh = known.id === store.id ? keys.filter((key) => !known.keys.has(key)) : [];
  known = { id: store.id, keys: new Set(keys) };
  // Not of those that tracking adds one after the other: the list would end at its last.
  if (fresh.length === 1 && !store.tracking) reveal(`[data-key="${CSS.escape(fresh.at(-1))}"]`);
  playhead();
}

// A press on a lane goes to its frame, and a drag scrubs.
function scrubbing() {
  let held = false;
  const go = (event) => {
    const room = $("tracked").getBoundingClientRect();
    goTo(Math.round(((event.clientX - room.left) / room.width) * (count() - 1)));
  };
  $("lanes").addEventListener("pointerdown", (event) => {
    if (!store.video || event.button || !event.target.closest(".lane-room") || event.target.closest("button, .end")) return;
    pause();
    held = true;
    $("lanes").setPointerCapture(event.pointerId);
    go(event);
  });
  $("lanes").addEventListener("pointermove", (event) => held && go(event));
  for (const end of ["pointerup", "pointercancel"]) $("lanes").addEventListener(end, () => { held = false; });
}

function playhead() {
  const room = $("tracked").getBoundingClientRect();
  const head = $("playhead");
  const left = room.left - $("timeline").getBoundingClientRect().left - $("timeline").clientLeft;
  head.style.left = `${left + (room.width * share(store.frame)) / 100}px`;
  // Not `scrollHeight`, which the head itself would hold where lanes go.
  head.style.height = `${Math.max($("timeline").clientHeight, $("lanes").offsetTop + $("lanes").offsetHeight)}px`;
}

export function setUp() {
  on("session summary chosen", build);
  on("frame", playhead);
  scrubbing();
  new ResizeObserver(playhead).observe($("timeline"));
}
