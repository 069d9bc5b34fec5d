// Frames of the video, loaded ahead, and thumbnails of objects cropped from them.

import { emit, objectOf, store, view } from "./store.js";
import { unpack } from "./masks.js";

const HELD = 60;
const AHEAD = 6;
const SIDE = 64;
let loaded = new Map(); // frame -> image
const small = new Map(); // object id -> {frame, counts, area, url}: a crop, and the mask that it shows

export function forget() {
  loaded = new Map();
  small.clear();
}

// The image of a frame; `image.ready` is a promise of its loading.
export function picture(frame) {
  let image = loaded.get(frame);
  if (!image) {
    image = new Image();
    image.src = `/sessions/${store.id}/frames/${frame}.jpg`;
    image.ready = image.decode().catch(() => loaded.delete(frame));
    loaded.set(frame, image);
    if (loaded.size > HELD) loaded.delete(loaded.keys().next().value);
  }
  return image;
}

export function loadAhead(frame) {
  const end = Math.min(store.video.num_frames, frame + AHEAD);
  for (let t = frame + 1; t < end; t++) picture(t);
}

export const thumbnail = (id) => small.get(id)?.url ?? null;

// Whether the mask that a crop shows is no more: another one is there, or the object is gone, or is
// not in view there, as after undo, when an id is used again.
function outdated(id, { frame, counts }) {
  const seen = store.views.get(frame);
  if (seen) return seen.objects.find((o) => o.object_id === id)?.rle?.counts !== counts;
  return !objectOf(id)?.lanes.some(([a, b]) => a <= frame && frame <= b);
}

// Crop thumbnails of objects that are larger in this frame than in their current one.
export function cutOut(image) {
  const old = [...small].filter(([id, crop]) => outdated(id, crop));
  for (const [id] of old) small.delete(id);
  let changed = old.length > 0;
  for (const object of view()?.objects ?? []) {
    if (!object.rle) continue;
    const known = small.get(object.object_id);
    if (known?.counts === object.rle.counts) continue;
    const { box } = unpack(object.rle);
    if (!box.area || (known && box.area < 1.5 * known.area)) continue;
    const side = Math.max(box.x1 - box.x0, box.y1 - box.y0, 8) * 1.2;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SIDE;
    const left = (box.x0 + box.x1 - side) / 2;
    const top = (box.y0 + box.y1 - side) / 2;
    canvas.getContext("2d").drawImage(image, left, top, side, side, 0, 0, SIDE, SIDE);
    const url = canvas.toDataURL("image/jpeg", 0.85);
    small.set(object.object_id, { frame: store.frame, counts: object.rle.counts, area: box.area, url });
    changed = true;
  }
  if (changed) emit("thumbnails");
}
