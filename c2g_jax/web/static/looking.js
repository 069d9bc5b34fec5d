// The frame that a person looks at is encoded before they click, and then those beside it.

import { call } from "./api.js";
import { playing } from "./playback.js";
import { on, store } from "./store.js";
import { waiting } from "./waiting.js";

const REST = 300; // ms on a frame before it is encoded
const QUICK = 1; // seconds of a frame, from which on those beside it would delay a click
const HELD = 8; // frames that a session holds
let encoded = new Set();
let timer = null;
let asking = false; // one request at a time: the server serves each
let quick = true; // whether the last frame was

function later() {
  clearTimeout(timer);
  timer = setTimeout(look, REST);
}

// The frame to encode next, null if there is none.
function next() {
  const { id, frame, video } = store;
  if (!id || !store.ready || store.tracking || playing() || document.hidden) return null;
  const near = encoded.has(frame) && quick ? [frame + 1, frame - 1] : [frame];
  return near.find((t) => t >= 0 && t < video.num_frames && !encoded.has(t)) ?? null;
}

async function look() {
  const { id } = store;
  const t = next();
  if (t === null || asking) return;
  asking = true;
  try {
    const sent = call("POST", `/sessions/${id}/frames/${t}/encode`);
    const { seconds } = await (t === store.frame ? waiting(`reading frame ${t}`, sent, true) : sent);
    if (store.id === id) {
      if (encoded.size >= HELD) encoded = new Set();
      encoded.add(t);
      quick = seconds < QUICK;
    }
  } catch {
    return; // only a click would have gained by it, and says what is wrong
  } finally {
    asking = false;
  }
  look();
}

export function setUp() {
  on("session", () => { encoded = new Set(); later(); });
  on("frame ready", later);
  on("tracking", () => { if (!store.tracking) later(); });
}
