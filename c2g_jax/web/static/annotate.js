// Changes that a person makes by hand: relations, spans, who is who, suggestions, strokes.

import { call } from "./api.js";
import { BACK, note } from "./messages.js";
import { change } from "./session.js";
import { asked, emit, isSuggested, nameOf, sameRelation, store } from "./store.js";

const path = (rest) => `/sessions/${store.id}${rest}`;
const post = (rest, json) => (frame, query) => call("POST", path(rest), { json, query });

export const laneOf = (r) => [r.subject_id, r.object_id, r.predicate];

export const relateNew = (subject_id, object_id, predicate, isNew = false) =>
  change(post("/relations", { subject_id, object_id, predicate, new: isNew }), () => {
    store.chosen = { subject_id, object_id, predicate };
    emit("chosen");
  }).then(() => {
    const made = store.relations.find((r) => sameRelation(r, { subject_id, object_id, predicate }));
    if (!made?.fixed) return; // refused
    const spans = made.spans.map(([a, b]) => (a === b ? a : `${a} to ${b}`)).join(", ");
    note(`${nameOf(subject_id)} is ${made.predicate} ${nameOf(object_id)} on ${made.spans.length === 1 && made.spans[0][0] === made.spans[0][1] ? "frame" : "frames"} ${spans}. I and O set where it begins and ends.`);
  });

export const setSpans = (lane, spans) =>
  change(post("/spans", { action: "set", lane, spans }), () => {
    if (!spans?.length && Array.isArray(lane)) {
      store.chosen = null;
      note(`${nameOf(lane[0])} is not ${lane[2]} ${nameOf(lane[1])} any more. ${BACK}`);
    } else if (!spans?.length) note(`${nameOf(lane)} is nowhere in view any more. ${BACK}`);
    emit("chosen");
  });

export const merge = (object_id, same_as) =>
  change(post(`/objects/${object_id}/merge`, { same_as }), () => {
    store.selected = same_as;
    note(`Object ${object_id} is ${nameOf(same_as)} now.`);
  });

export const cut = (object_id) =>
  change(post(`/objects/${object_id}/cut`, { at: store.frame }), (answer) => {
    store.selected = answer.object_id;
    note(`From frame ${store.frame} on it is object ${answer.object_id}.`);
  });

export const promote = (object_id) =>
  change(post(`/objects/${object_id}/promote`, {}), () => note(`Object ${object_id} is a subject. Press K to find what it is related to.`));

export const removeSeveral = (object_ids) =>
  change(post("/remove", { object_ids }), () => {
    store.several = new Set();
    store.selected = null;
    note(`${object_ids.length} objects are removed. Undo (Ctrl+Z) brings them back.`);
  });

// On the object that is selected in its turn, when what was asked for before is answered.
export function stroke(points, radius, erase, isNew) {
  let known = null; // the objects before it makes one
  const select = (objects) => {
    const made = known && objects.find((o) => !known.has(o.object_id));
    if (made) store.selected = made.object_id;
  };
  return change(
    (frame, query) => {
      const object_id = isNew ? null : store.selected;
      if (object_id === null) known = new Set(store.objects.map((o) => o.object_id));
      return call("POST", path("/brush"), { json: { frame, points, radius, erase, object_id }, query });
    },
    (answer) => select(answer.view.objects),
    "painting",
    () => select(store.objects),
  );
}

// Suggestions

export const suggested = () => [...store.relations, ...store.objects].filter(isSuggested);

const laneOrId = (one) => (one.predicate === undefined ? one.object_id : laneOf(one));

export const accept = (one) =>
  change(post("/accept", { lane: laneOrId(one), threshold: asked() }), () => {
    if (store.chosen) store.chosen.state = "accepted";
    note("Accepted.");
  });

export const dismiss = (one) =>
  change(post("/dismiss", { lane: laneOrId(one) }), () => {
    store.chosen = null;
    emit("chosen");
    note("Dismissed: it is not suggested again.");
  });

export const acceptAbove = () =>
  change(post("/accept_above", { confidence: store.threshold }), ({ accepted }) =>
    note(accepted === 1 ? "1 relation is accepted." : accepted ? `${accepted} relations are accepted.` : "Nothing above the slider is left to accept."));
