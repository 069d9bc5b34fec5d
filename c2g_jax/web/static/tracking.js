// Tracking: frames arrive one by one, and the graph is extended by each. Finding everything
// goes the same way, and adds subjects at its end.

import { call, stream } from "./api.js";
import { $ } from "./dom.js";
import { complain, note, occupied } from "./messages.js";
import { pause } from "./playback.js";
import { refresh, settled } from "./session.js";
import { emit, forgetViews, isSure, on, sameRelation, store } from "./store.js";
import { spansOf } from "./timeline.js";
import { waitFor } from "./waiting.js";

const KEY = "c2g-tracking"; // what is tracked, for a page that is loaded again
let following = true; // the page shows the frame that was tracked last

export async function track() {
  await settled(); // a click just before is included
  if (!store.id || occupied()) return;
  if (!store.objects.length) return note("Click on a subject first.");
  const { id } = store;
  const seen = new Set(store.tracked);
  const direction = $("direction").value;
  following = true;
  keep({ id, direction });
  const lost = "The connection was lost during tracking; finished frames are kept.";
  const { end, done } = await follow("track", { direction }, "starting to track", lost, (line) => take(line, seen));
  if (end) keep(null); // a lost connection is no end
  if (store.id !== id || !end || end.error) return;
  note(end.end === "done" ? `Tracked ${done} frames.` : "Tracking is cancelled; finished frames are kept.");
}

// Every object that stays in view becomes a subject: one action, or none where it is cancelled.
export async function findEverything() {
  await settled();
  if (!store.id || store.tracking) return;
  const { id } = store;
  const before = new Set(store.objects.map((o) => o.object_id));
  const lost = "The connection was lost while everything was found; nothing is changed.";
  const { end } = await follow("find", undefined, "finding everything", lost, (line) => {
    Object.assign(store.tracking, line);
    emit("tracking");
  });
  if (store.id !== id || !end || end.error) return;
  const count = store.objects.filter((o) => !before.has(o.object_id)).length;
  if (end.end !== "done") note("Finding is cancelled; nothing is changed.");
  else note(count ? `${count} ${count === 1 ? "object is" : "objects are"} found. Press K to track.` : "Nothing else that stays in view is found.");
}

// Run steps of the model on the server until the last line; {end, done}, end null if it is lost.
async function follow(what, json, text, lost, step) {
  pause();
  const { id } = store;
  store.tracking = { what, done: 0, total: 0, since: performance.now(), frame: store.frame };
  store.chosen = null;
  emit("tracking", "chosen");
  $("stopped").hidden = true;
  let started = waitFor(text);
  let end = null;
  try {
    await stream(`/sessions/${id}/${what}`, json, (line) => {
      started?.();
      started = null;
      if (store.id !== id) return;
      if (line.end) end = line;
      else step(line);
    });
    if (!end) throw new Error(lost);
    if (end.error) throw new Error(end.error);
  } catch (error) {
    complain(error);
  } finally {
    started?.();
  }
  if (store.id !== id) return { end };
  const done = store.tracking?.done ?? "";
  store.tracking = null;
  if (what === "find") forgetViews();
  else store.views = new Map([...store.views].filter(([t]) => t === store.frame));
  emit("tracking");
  await refresh().catch(complain);
  return { end, done };
}

function keep(run) {
  try {
    if (run) localStorage.setItem(KEY, JSON.stringify(run));
    else localStorage.removeItem(KEY);
  } catch {
    // Storage is off: a reload says nothing of the tracking that it stopped.
  }
}

// After a reload: say that tracking stopped, and offer to go on.
function offer() {
  let run = null;
  try {
    run = JSON.parse(localStorage.getItem(KEY));
  } catch {
    // As above.
  }
  const left = store.video.num_frames - store.tracked.length + store.stale.length;
  const cut = run?.id === store.id && !store.tracking && store.objects.length > 0 && left > 0;
  $("stopped").hidden = !cut;
  if (!cut) return;
  $("direction").value = run.direction;
  $("stopped-text").textContent = `Tracking stopped: ${store.tracked.length} of ${store.video.num_frames} frames are done.`;
}

export async function cancel() {
  if (!store.tracking) return false;
  $("track").disabled = true;
  $("left").textContent = "stopping after this frame…";
  await call("POST", `/sessions/${store.id}/cancel`).catch(complain);
  return true;
}

// Add one frame to the state shown, until the server's summary replaces it at the end.
function take({ frame, done, total, view }, seen) {
  const run = store.tracking;
  Object.assign(run, { done, total });
  if (store.frame !== run.frame) following = false; // the user went to another frame
  store.views.set(frame, view);
  seen.add(frame);
  store.tracked = [...seen].sort((a, b) => a - b);
  store.stale = store.stale.filter((t) => t !== frame);
  for (const object of view.objects) {
    let known = store.objects.find((o) => o.object_id === object.object_id);
    if (!known) store.objects.push((known = { ...object, lanes: [], prompted: [] }));
    const { category, score, subject_ids, state } = object;
    Object.assign(known, { category, score, subject_ids, state });
    known.lanes = extend(known.lanes, frame, Boolean(object.rle));
  }
  const sure = view.relations.filter(isSure); // confidence: as far as a frame alone tells
  for (const relation of sure) {
    let known = store.relations.find((r) => sameRelation(r, relation));
    if (!known) store.relations.push((known = { ...relation, spans: [], score: relation.confidence }));
    known.spans = extend(known.spans, frame, true);
  }
  if (following) {
    store.frame = run.frame = frame;
    emit("frame", "view", "summary", "tracking");
  } else emit("view", "summary", "tracking");
}

function extend(spans, frame, present) {
  const frames = new Set(spans.flatMap(([a, b]) => Array.from({ length: b - a + 1 }, (_, k) => a + k)));
  if (present) frames.add(frame);
  else frames.delete(frame);
  return spansOf([...frames].sort((a, b) => a - b));
}

function timeLeft({ done, total, since }) {
  if (done < 2) return "";
  const seconds = ((performance.now() - since) / done) * (total - done) / 1000;
  return seconds < 90 ? ` · ${Math.ceil(seconds)} s left` : ` · ${Math.ceil(seconds / 60)} min left`;
}

function show() {
  const run = store.tracking;
  const button = $("track");
  button.textContent = run ? "Cancel" : "Track";
  button.title = run ? "Cancel (Esc)" : "Track all objects (K)";
  button.classList.toggle("primary", !run);
  button.disabled = false;
  $("find").disabled = Boolean(run) || !store.id;
  $("progress").hidden = !run;
  $("bar").setAttribute("aria-label", run?.what === "find" ? "Finding everything" : "Tracking");
  $("direction").hidden = Boolean(run);
  if (run) {
    $("bar").value = run.total ? run.done / run.total : 0;
    $("left").textContent = run.total ? `${run.done} of ${run.total}${timeLeft(run)}` : "starting…";
  }
  $("undo").disabled = Boolean(run) || !store.canUndo;
  $("redo").disabled = Boolean(run) || !store.canRedo;
}

export function setUp() {
  $("track").addEventListener("click", () => (store.tracking ? cancel() : track()));
  $("find").addEventListener("click", findEverything);
  $("go-on").addEventListener("click", track);
  $("go-on-not").addEventListener("click", () => { $("stopped").hidden = true; keep(null); });
  on("session", () => { $("stopped").hidden = true; });
  on("opened", offer);
  on("tracking summary selection", show);
}
