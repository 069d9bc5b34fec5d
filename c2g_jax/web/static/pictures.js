// Frames of the video, loaded ahead, and thumbnails of objects cropped from them.

import { emit, store, view } from "./store.js";
import { unpack } from "./masks.js";

const HELD = 60;
const AHEAD = 6;
const SIDE = 64;
let loaded = new Map(); // frame -> image
const small = new Map(); // object id -> {url, area}

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

// Crop thumbnails of objects that are larger in this frame than in their current one.
export function cutOut(image) {
  let changed = false;
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
    small.set(object.object_id, { url, area: box.area, counts: object.rle.counts });
    changed = true;
  }
  if (changed) emit("thumbnails");
}
