// Actions on a session: each sends a request, then shows the answer.

import { call } from "./api.js";
import { complain, note, calm } from "./messages.js";
import { forget } from "./pictures.js";
import { remember } from "./recent.js";
import { asked, emit, forgetViews, nameOf, store } from "./store.js";

const PATIENCE = 1000; // ms without an answer before the page explains the delay
let chain = Promise.resolve();
let looking = null; // AbortController of the request for the current frame

const path = (rest = "") => `/sessions/${store.id}${rest}`;

export async function show(session) {
  const keep = { id: session.id, video: session.video, frame: 0, views: new Map(), before: null };
  const none = { objects: [], relations: [], tracked: [], stale: [], canUndo: false, canRedo: false };
  Object.assign(store, keep, none, { selected: null, adding: null, chosen: null, tracking: null });
  store.hidden = new Set();
  forget();
  history.replaceState(null, "", `#session=${session.id}`);
  remember(session);
  calm();
  emit("session", "frame", "summary", "selection", "chosen", "tracking");
  const timer = setTimeout(() => note("The model is busy: the results of this video appear when it is done."), PATIENCE);
  try {
    await Promise.all([refresh(), look()]);
  } finally {
    clearTimeout(timer);
  }
}

// Load objects, relations and tracked frames of the whole clip.
export async function refresh() {
  const id = store.id;
  const found = await call("GET", path(), { query: { threshold: asked() } });
  if (store.id !== id || store.tracking) return;
  const { objects, relations, tracked, stale, revision } = found;
  if (revision !== store.revision) forgetViews();
  Object.assign(store, { objects, relations, tracked, stale, revision });
  if (!store.moved) store.threshold = found.threshold ?? store.threshold;
  store.canUndo = found.can_undo;
  store.canRedo = found.can_redo;
  if (!objects.some((o) => o.object_id === store.selected)) store.selected = null;
  if (!objects.some((o) => o.object_id === store.adding)) store.adding = null;
  emit("summary", "selection", "threshold");
  if (!store.views.has(store.frame)) await look();
}

// Load the view of the current frame.
export async function look() {
  const { id, frame } = store;
  if (store.views.has(frame)) return emit("view");
  looking?.abort();
  looking = new AbortController();
  emit("view");
  try {
    const found = await call("GET", path(`/frames/${frame}`), { signal: looking.signal });
    if (store.id !== id) return;
    store.views.set(frame, found);
    if (store.frame === frame) emit("view");
  } catch (error) {
    if (!store.tracking) complain(error);
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

// Send changes one at a time, in order.
function change(ask, after = () => {}) {
  if (!store.id) return Promise.resolve();
  chain = chain.then(async () => {
    const { id, frame } = store;
    try {
      const answer = await ask(frame);
      if (store.id !== id) return;
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
    }
  });
  return chain;
}

// A promise that all changes so far are answered and shown.
export const settled = () => chain;

export function prompt(json) {
  const before = new Set(store.objects.map((o) => o.object_id));
  return change(
    (frame) => call("POST", path("/prompts"), { json: { frame, ...json } }),
    (answer) => {
      const made = answer.view.objects.filter((o) => !before.has(o.object_id) && o.prompts.length);
      store.adding = null;
      if (made.length) store.selected = made.at(-1).object_id;
      if (made.length) note(`${made.at(-1).role === "subject" ? "Subject" : "Object"} ${store.selected} is marked. Press K to track it.`);
    },
  );
}

export const deletePrompt = (object_id, index) =>
  change((frame) => call("DELETE", path("/prompts"), { query: { frame, object_id, index } }));

export const removeObject = (id) =>
  change(
    (frame) => call("DELETE", path(`/objects/${id}`), { query: { frame } }),
    () => {
      if (store.chosen && [store.chosen.subject_id, store.chosen.object_id].includes(id)) store.chosen = null;
      note(`Object ${id} is removed.`);
      emit("chosen");
    },
  );

export const rename = (id, category) =>
  change(
    (frame) => call("PATCH", path(`/objects/${id}`), { json: { category }, query: { frame } }),
    () => note(category ? `Object ${id} is now ${category}.` : `Object ${id} is named by the model again.`),
  );

export const relate = (link) =>
  change(
    (frame) => call("PATCH", path("/relations"), { json: link, query: { frame } }),
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
    (frame) => call("POST", path(`/${action}`), { query: { frame } }),
    (answer) => {
      store.chosen = null;
      emit("chosen");
      note(`${done}: ${answer.what}.`);
    },
  );
export const undo = () => store.canUndo && step("undo", "Undone");
export const redo = () => store.canRedo && step("redo", "Redone");
