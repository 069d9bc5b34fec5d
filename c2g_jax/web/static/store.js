// State of the page, and listeners for its changes.

export const store = {
  id: null, // session id
  name: "", // of the project
  video: null, // name, width, height, fps, times, num_frames, film
  frame: 0,
  views: new Map(), // frame -> its view
  before: null, // outdated view, shown until a newer one of its frame arrives
  objects: [],
  relations: [], // over the whole clip
  tracked: [],
  stale: [],
  canUndo: false,
  canRedo: false,
  revision: 0,
  selected: null, // object that clicks correct; null: the next click adds a subject
  adding: null, // subject for which the next click adds an object
  hidden: new Set(), // objects whose masks are not shown
  chosen: null, // selected relation: {subject_id, object_id, predicate, span}
  threshold: null, // lowest confidence shown
  moved: false, // the user chose the threshold; before, the model's settings hold
  wholeClip: false,
  tracking: null, // {what, done, total, since}: what is "track" or "find"
  picking: null, // {what: "relate" or "same", from: object id} while the other is chosen
  fresh: false, // the next click makes a new subject, whatever is under it
  several: new Set(), // objects selected together
  unfolded: new Set(), // subjects whose suggestions are listed
  guesses: "take", // of the session: "take", "suggest" or "off"
  reviewing: false, // a decision leads to the next one
  dragging: false, // the end of a span is dragged
  pending: [], // prompts that are not answered yet: {kind, x, y, positive} or a box
  ready: false,
};

const listeners = new Map();

// Names: session, frame, view, summary, selection, chosen, threshold, tracking, ready, name,
// pending, zoom, thumbnails.
export function on(names, act) {
  for (const name of names.split(" ")) {
    if (!listeners.has(name)) listeners.set(name, []);
    listeners.get(name).push(act);
  }
}

export function emit(...names) {
  const acts = new Set(names.flatMap((name) => listeners.get(name) ?? []));
  for (const act of acts) act();
}

export const view = () => store.views.get(store.frame) ?? (store.before?.frame === store.frame ? store.before : null);
export function forgetViews() {
  store.before = view();
  store.views = new Map();
}
export const asked = () => (store.moved ? store.threshold : null);
export const isSure = (relation) => relation.fixed || relation.confidence >= store.threshold;
export const isSuggested = (one) => one?.state === "suggested";
// Of the spans, so that this frame says what the lanes, the graph of the clip and the files say.
export const holdsAt = (relation, frame) => relation.spans.some(([a, b]) => a <= frame && frame <= b);
export const relationsNow = () => store.relations.filter((r) => holdsAt(r, store.frame));
export const objectOf = (id) => store.objects.find((o) => o.object_id === id);
// Whether the user prompted the object; otherwise the model discovered it.
export const isGiven = (object) => !isSuggested(objectOf(object.object_id)) && (!object.subject_ids.length || objectOf(object.object_id)?.prompted.length > 0);
export const endsOf = (relations) => new Set(relations.flatMap((r) => [r.subject_id, r.object_id]));
export const nameOf = (id) => `${id} ${objectOf(id)?.category ?? "object"}`;
export const percent = (value) => `${Math.round(100 * value)} %`;
export const sameRelation = (a, b) =>
  Boolean(a && b) && a.subject_id === b.subject_id && a.object_id === b.object_id &&
  a.predicate === b.predicate;
