// Start of the page.

import { call } from "./api.js";
import * as brush from "./brush.js";
import * as correct from "./correct.js";
import { $ } from "./dom.js";
import * as exporting from "./exporting.js";
import * as files from "./files.js";
import * as graph from "./graph.js";
import * as keys from "./keys.js";
import * as layout from "./layout.js";
import * as looking from "./looking.js";
import * as messages from "./messages.js";
import * as objects from "./objects.js";
import * as opening from "./opening.js";
import * as playback from "./playback.js";
import * as pointing from "./pointing.js";
import * as review from "./review.js";
import { refresh } from "./session.js";
import * as stage from "./stage.js";
import { emit, on, store } from "./store.js";
import * as timeline from "./timeline.js";
import * as tracking from "./tracking.js";
import { gettingReady, isReady, setTold } from "./waiting.js";
import * as zoom from "./zoom.js";

const THEME = "c2g-theme";

function theme() {
  let saved = null;
  try {
    saved = localStorage.getItem(THEME);
  } catch {
    // Storage is off: the page starts with the system's theme.
  }
  if (saved) document.documentElement.dataset.theme = saved;
  $("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark" ||
      (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    const next = dark ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem(THEME, next);
    } catch {
      // As above.
    }
  });
}

// Show the server's status, polled until the model is ready.
async function watch() {
  const line = $("model");
  try {
    const status = await call("GET", "/status");
    opening.setStatus(status);
    if (!status.ready && !status.error) {
      gettingReady();
      setTold(status);
    } else isReady();
    if (status.ready && !store.ready) {
      store.ready = true;
      emit("ready");
    }
    const bad = status.error ?? status.warning;
    line.classList.toggle("bad", Boolean(bad));
    const stage = `Starting: ${status.stage}…`;
    line.textContent = bad ?? (status.ready ? status.weights : stage);
    line.hidden = !line.textContent;
    if (!status.ready && !status.error) setTimeout(watch, 700);
  } catch (error) {
    line.hidden = false;
    line.textContent = error.message;
    setTimeout(watch, 2000);
  }
}

for (const part of [messages, layout, zoom, stage, pointing, brush, review, playback, looking, timeline, objects, graph, correct, tracking, opening, files, exporting, keys]) part.setUp();
theme();
on("session name", () => {
  const { num_frames: count, fps } = store.video;
  $("clip-name").textContent = store.name;
  $("rate").textContent = count === 1 ? "one image" : `${count} frames, ${Number(fps?.toFixed(2) ?? 0)} a second`;
  document.title = `${store.name} · Click2Graph`;
});
// Another tab may have changed the same session in the meantime.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && store.id && !store.tracking) refresh().catch(messages.complain);
});
await watch();
await opening.start();
