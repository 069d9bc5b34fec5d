// Actions on a session: each sends a request, then shows the answer.

import { call } from "./api.js";
import { BACK, complain, note, calm, occupied } from "./messages.js";
import { forget } from "./pictures.js";
import { asked, emit, endsOf, forgetViews, isSuggested, nameOf, objectOf, store } from "./store.js";
import { waitFor, waiting } from "./waiting.js";

let chain = Promise.resolve();
let looking = null; // session id whose frame is being asked for

const path = (rest = "") => `/sessions/${store.id}${rest}`;

export async function show(session) {
  const keep = { id: session.id, name: session.name, video: session.video, frame: 0, pending: [], views: new Map(), before: null };
  const modes = { picking: null, fresh: false, several: new Set(), unfolded: new Set(), reviewing: false };
  const none = { ...modes, objects: [], relations: [], tracked: [], stale: [], canUndo: false, canRedo: false };
  Object.assign(store, keep, none, { selected: null, adding: null, chosen: null, tracking: null });
  store.hidden = new Set();
  forget();
  history.replaceState(null, "", `#session=${session.id}`);
  calm();
  emit("session", "frame", "summary", "selection", "chosen", "tracking");
  await waiting("reading the project", Promise.all([refresh(), look()]));
  emit("opened");
}

// Load objects, relations and tracked frames of the whole clip.
export async function refresh() {
  const id = store.id;
  const found = await call("GET", path(), { query: { threshold: asked() } });
  if (store.id !== id || store.tracking) return;
  const { objects, relations, tracked, stale, revision } = found;
  if (revision !== store.revision) forgetViews();
  // What is suggested counts by its relations, as the slider has them.
  const related = endsOf(relations);
  const shown = objects.filter((o) => !isSuggested(o) || related.has(o.object_id));
  Object.assign(store, { objects: shown, relations, tracked, stale, revision });
  store.guesses = found.guesses ?? store.guesses;
  if (!store.moved) store.threshold = found.threshold ?? store.threshold;
  store.canUndo = found.can_undo;
  store.canRedo = found.can_redo;
  if (!objects.some((o) => o.object_id === store.selected)) store.selected = null;
  if (!objects.some((o) => o.object_id === store.adding)) store.adding = null;
  emit("summary", "selection", "threshold");
  if (!store.views.has(store.frame)) await look();
}

// Load the view of the current frame: one request at a time, since the server serves each, and
// then the frame that is current by that time.
export async function look() {
  const { id } = store;
  emit("view");
  if (looking === id) return;
  looking = id;
  try {
    while (store.id === id && !store.views.has(store.frame)) {
      const { frame, revision } = store;
      const found = await call("GET", path(`/frames/${frame}`));
      if (store.id !== id) return;
      if (store.revision === revision) store.views.set(frame, found);
      if (store.frame === frame) emit("view");
    }
  } catch (error) {
    if (!store.tracking) complain(error);
  } finally {
    if (looking === id) looking = null;
  }
}

export function goTo(frame) {
  const last = (store.video?.num_frames ?? 1) - 1;
  const place = Math.max(0, Math.min(last, frame));
  if (!store.video || place === store.frame) return;
  store.frame = place;
  emit("frame");
  look();
}

// Send changes one at a time, in order. Each is of the frame that was shown when it was made,
// and says which revision the person saw: another tab's change in between is not written over.
// `ask` may find in its turn that there is nothing to send: null. `kept`: of a change that stands,
// but was not saved, as the disk is full.
export function change(ask, after = () => {}, text = "saving", kept = () => {}) {
  if (!store.id) return Promise.resolve();
  const { id, frame } = store;
  const done = waitFor(text);
  chain = chain.then(async () => {
    try {
      if (store.id !== id) return;
      const answer = await ask(frame, { frame, revision: store.revision });
      if (!answer || store.id !== id) return;
      calm();
      forgetViews();
      if (answer.view) store.views.set(answer.view.frame, answer.view);
      Object.assign(store, { revision: answer.revision, canUndo: answer.can_undo, canRedo: answer.can_redo });
      after(answer);
      emit("view", "selection");
      await refresh();
    } catch (error) {
      complain(error);
      // The change may be partly done, or another tab made one: show the server's state.
      if (error.status) await refresh().catch(() => {});
      if (error.status === 507 && store.id === id) {
        kept();
        emit("selection");
      }
    } finally {
      done();
    }
  });
  return chain;
}

// A promise that all changes so far are answered and shown.
export const settled = () => chain;

// A prompt. It is shown at once where it was made, and decided in its turn: `decide` returns its
// JSON, null for none, when what was asked for before is answered, as that may have made the object
// that this one adds to.
export function prompt(json, decide = () => json) {
  const mark = { ...json, frame: store.frame };
  store.pending.push(mark);
  emit("pending");
  let was = null; // {objects, selected, adding} in its turn
  // What the person has chosen meanwhile stays.
  const select = (made) => {
    if (store.adding === was.adding) store.adding = null;
    if (!made) return;
    if (store.selected === was.selected) store.selected = made.object_id;
    note(`${made.role === "subject" ? "Subject" : "Object"} ${made.object_id} is marked. Press K to track it, Enter to name it.`);
  };
  const isNew = (o) => !was.objects.has(o.object_id);
  return change(
    (frame, { revision }) => {
      const { selected, adding } = store;
      const decided = decide(frame);
      if (!decided) return null;
      was = { objects: new Set(store.objects.map((o) => o.object_id)), selected, adding };
      return call("POST", path("/prompts"), { json: { frame, ...decided }, query: { revision } });
    },
    (answer) => select(answer.view.objects.findLast((o) => isNew(o) && o.prompts.length)),
    `finding the object on frame ${store.frame}`,
    () => was && select(store.objects.findLast((o) => isNew(o) && o.prompted.length)),
  ).finally(() => {
    store.pending = store.pending.filter((one) => one !== mark);
    emit("pending");
  });
}

// What goes with an object, in words: its name, and how many relations.
function withRelations(id) {
  const own = store.relations.filter((r) => !isSuggested(r) && [r.subject_id, r.object_id].includes(id)).length;
  return own ? `${nameOf(id)} and its ${own === 1 ? "relation" : `${own} relations`}` : nameOf(id);
}

// The last prompt of an object takes the object with it.
export async function deletePrompt(object_id, index, kind) {
  const [name, all] = [nameOf(object_id), withRelations(object_id)];
  let done = false;
  await change((frame, query) => call("DELETE", path("/prompts"), { query: { ...query, object_id, index } }), () => { done = true; });
  if (!done) return;
  note(objectOf(object_id) ? `A ${kind} of ${name} is deleted. ${BACK}` : `That was its only ${kind}: ${all} went with it. ${BACK}`);
}

export function removeObject(id) {
  const all = withRelations(id);
  return change(
    (frame, query) => call("DELETE", path(`/objects/${id}`), { query }),
    () => {
      if (store.chosen && [store.chosen.subject_id, store.chosen.object_id].includes(id)) store.chosen = null;
      note(`${all} ${all === nameOf(id) ? "is" : "are"} removed. ${BACK}`);
      emit("chosen");
    },
  );
}

export const rename = (id, category, kind = null) =>
  change(
    (frame, query) => call("PATCH", path(`/objects/${id}`), { json: { category, new: kind }, query }),
    () => note(category ? `Object ${id} is now ${category}.` : `Object ${id} is named by the model again.`),
  );

export const relate = (link) =>
  change(
    (frame, query) => call("PATCH", path("/relations"), { json: link, query }),
    () => {
      const { subject_id, object_id, predicate, start, stop } = link;
      const span = start === null ? null : [start, stop];
      store.chosen = predicate ? { subject_id, object_id, predicate, span } : null;
      emit("chosen");
      note(predicate ? `${nameOf(subject_id)} is ${predicate} ${nameOf(object_id)}.` : "They are not related.");
    },
  );

const step = (action, done) =>
  change(
    (frame, query) => call("POST", path(`/${action}`), { query }),
    (answer) => {
      store.chosen = null;
      emit("chosen");
      note(`${done}: ${answer.what}.`);
    },
  );
export const undo = () => !occupied() && store.canUndo && step("undo", "Undone");
export const redo = () => !occupied() && store.canRedo && step("redo", "Redone");
