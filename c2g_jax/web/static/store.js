// State of the page, and listeners for its changes.

export const store = {
  id: null, // session id
  video: null, // name, width, height, fps, times, num_frames
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
  tracking: null, // {done, total, since}
  ready: false,
};

const listeners = new Map();

// Names: session, frame, view, summary, selection, chosen, threshold, tracking, status.
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
export const relationsNow = () => (view()?.relations ?? []).filter(isSure);
export const objectOf = (id) => store.objects.find((o) => o.object_id === id);
// Whether the user prompted the object; otherwise the model discovered it.
export const isGiven = (object) => !object.subject_ids.length || objectOf(object.object_id)?.prompted.length > 0;
export const endsOf = (relations) => new Set(relations.flatMap((r) => [r.subject_id, r.object_id]));
export const nameOf = (id) => `${id} ${objectOf(id)?.category ?? "object"}`;
export const percent = (value) => `${Math.round(100 * value)} %`;
export const sameRelation = (a, b) =>
  Boolean(a && b) && a.subject_id === b.subject_id && a.object_id === b.object_id &&
  a.predicate === b.predicate;
