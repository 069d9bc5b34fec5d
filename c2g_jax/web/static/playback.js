// Playback, and the current frame. A video plays at its own rate, between the sampled frames too.

import { $, icon } from "./dom.js";
import { occupied } from "./messages.js";
import { picture } from "./pictures.js";
import { goTo } from "./session.js";
import { on, store } from "./store.js";

const SLACK = 0.02; // seconds by which the player's clock may be early
let timer = null; // of the sampled frames, where there is no film to play
let film = false; // whether the film plays

export const playing = () => timer !== null || film;

export function togglePlay() {
  if (!store.video || occupied()) return;
  if (playing()) return pause();
  if (store.frame === store.video.num_frames - 1) goTo(0);
  if (store.video.film && store.filmPlays !== false) startFilm();
  else timer = setTimeout(tick, 0);
  button();
}

export function pause() {
  clearTimeout(timer);
  timer = null;
  if (film) {
    film = false;
    $("film").pause();
    $("film").hidden = true;
  }
  button();
}

async function tick() {
  const next = store.frame + 1;
  if (next >= store.video.num_frames) return pause();
  await picture(next).ready;
  if (timer === null) return;
  const { times, fps } = store.video;
  const seconds = times[next] - times[next - 1] || 1 / (fps ?? 5);
  goTo(next);
  timer = setTimeout(tick, 1000 * seconds);
}

async function startFilm() {
  const player = $("film");
  const source = `/sessions/${store.id}/film`;
  film = true;
  if (player.getAttribute("src") !== source) player.setAttribute("src", source);
  try {
    player.currentTime = store.video.times[store.frame];
    await player.play();
    if (!film) return player.pause();
    player.hidden = false;
    follow();
  } catch {
    // This browser does not play the film's format: the sampled frames are shown.
    if (!film) return;
    film = false;
    store.filmPlays = false;
    player.hidden = true;
    timer = setTimeout(tick, 0);
  }
}

// Show the masks of the sampled frame that the film has reached.
function follow() {
  if (!film) return;
  const player = $("film");
  const { times } = store.video;
  let frame = store.frame;
  if (times[frame] > player.currentTime + 1) frame = 0;
  while (frame + 1 < times.length && times[frame + 1] <= player.currentTime + SLACK) frame++;
  if (frame !== store.frame) goTo(frame);
  if (player.ended || frame === times.length - 1) return pause();
  requestAnimationFrame(follow);
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
  $("place").textContent = `Frame ${store.frame} / ${count - 1} · ${time.toFixed(1)} s`;
  $("scrubber").value = store.frame;
  $("scrubber").setAttribute("aria-valuetext", $("place").textContent);
}

export function setUp() {
  $("play").addEventListener("click", togglePlay);
  $("back").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("scrubber").addEventListener("input", () => { pause(); goTo(Number($("scrubber").value)); });
  on("session", () => {
    pause();
    $("film").removeAttribute("src");
    store.filmPlays = undefined;
    $("scrubber").max = store.video.num_frames - 1;
  });
  on("session frame", where);
}
