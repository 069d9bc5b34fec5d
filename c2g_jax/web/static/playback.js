// Playback, and the current frame.

import { $, icon } from "./dom.js";
import { picture } from "./pictures.js";
import { goTo } from "./session.js";
import { on, store } from "./store.js";

let timer = null;

export const playing = () => timer !== null;

export function togglePlay() {
  if (!store.video || store.tracking) return;
  if (playing()) return pause();
  if (store.frame === store.video.num_frames - 1) goTo(0);
  timer = setTimeout(tick, 0);
  button();
}

export function pause() {
  clearTimeout(timer);
  timer = null;
  button();
}

async function tick() {
  const next = store.frame + 1;
  if (next >= store.video.num_frames) return pause();
  await picture(next).ready;
  if (!playing()) return;
  goTo(next);
  timer = setTimeout(tick, 1000 / (store.video.fps ?? 5));
}

function button() {
  const word = playing() ? "Pause" : "Play";
  $("play").setAttribute("aria-label", word);
  $("play").title = `${word} (Space)`;
  $("play").replaceChildren(icon(playing() ? "pause" : "play"));
}

export function step(by) {
  pause();
  goTo(store.frame + by);
}

function where() {
  const { num_frames: count, times } = store.video;
  const time = times[store.frame] ?? 0;
  $("place").textContent = `Frame ${store.frame + 1} of ${count} · ${time.toFixed(1)} s`;
  $("scrubber").value = store.frame;
  $("scrubber").setAttribute("aria-valuetext", $("place").textContent);
}

export function setUp() {
  $("play").addEventListener("click", togglePlay);
  $("back").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("scrubber").addEventListener("input", () => { pause(); goTo(Number($("scrubber").value)); });
  on("session", () => { pause(); $("scrubber").max = store.video.num_frames - 1; });
  on("session frame", where);
}
