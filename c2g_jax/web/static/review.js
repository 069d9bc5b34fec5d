// What is left to decide, the least sure first: one key to the next, one to accept, one to dismiss.

import { accept, acceptAbove, dismiss, setSpans } from "./annotate.js";
import { $ } from "./dom.js";
import { note, occupied } from "./messages.js";
import { goTo, relate, settled } from "./session.js";
import { emit, isSuggested, on, percent, sameRelation, store } from "./store.js";

let passed = new Set(); // keys of what was looked at and left

const key = (r) => `${r.subject_id}-${r.object_id}-${r.predicate}`;

// Suggestions; where guesses are taken, what no person has confirmed.
function queue() {
  const open = (r) => isSuggested(r) || (store.guesses === "take" && !r.fixed);
  return store.relations.filter(open).sort((a, b) => a.score - b.score);
}

export function next() {
  if (occupied()) return undefined;
  const all = queue();
  if (!all.length) return note("Nothing is left to decide.");
  if (store.chosen) passed.add(key(store.chosen));
  let found = all.find((r) => !passed.has(key(r)));
  if (!found) {
    passed = new Set();
    found = all[0];
  }
  store.chosen = { ...found, span: found.spans[0] };
  store.reviewing = true;
  emit("chosen");
  const [a, b] = found.spans[0];
  if (store.frame < a || store.frame > b) goTo(Math.floor((a + b) / 2));
}

// One decision after the other, however fast the keys.
let deciding = Promise.resolve();
const decide = (act) => (deciding = deciding.then(() => decideOne(act)));

async function decideOne(act) {
  if (occupied()) return undefined;
  const { chosen, selected, objects } = store;
  const object = objects.find((o) => o.object_id === selected);
  if (!chosen && object && isSuggested(object)) return act(object);
  const relation = store.relations.find((r) => sameRelation(r, chosen) && r.state === chosen.state) ?? store.relations.find((r) => sameRelation(r, chosen));
  if (!relation) return note("Choose a suggestion first (J: the next one).");
  const again = store.reviewing;
  await act(relation);
  await settled();
  if (!again) return undefined;
  return queue().length ? next() : note("Nothing is left to decide.");
}

// With the spans that it has: the gaps between them are no part of it.
const confirm = ({ subject_id, object_id, predicate, spans }) => {
  if (spans.length > 1) return setSpans([subject_id, object_id, predicate], spans);
  const [[start, stop]] = spans;
  return relate({ subject_id, object_id, predicate, start, stop });
};
const refuse = ({ subject_id, object_id }) => relate({ subject_id, object_id, predicate: null, start: null, stop: null });

export const acceptChosen = () => decide((one) => (isSuggested(one) ? accept(one) : confirm(one)));
export const dismissChosen = () => decide((one) => (isSuggested(one) ? dismiss(one) : refuse(one)));

function show() {
  const left = queue().length;
  const above = store.relations.filter((r) => isSuggested(r) && r.score >= store.threshold).length;
  $("review").hidden = !left;
  $("confidence").hidden = store.guesses === "off" || !(store.tracked.length || store.relations.length);
  $("left-to-decide").textContent = `${left} to decide`;
  $("accept-all").hidden = !above;
  $("accept-all").textContent = `Accept all from ${percent(store.threshold)}`;
}

export function setUp() {
  on("session", () => { passed = new Set(); store.reviewing = false; });
  on("session summary threshold", show);
  on("chosen", () => { if (!store.chosen) store.reviewing = false; });
  $("review-next").addEventListener("click", next);
  $("accept-all").addEventListener("click", acceptAbove);
}
