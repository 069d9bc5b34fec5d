// Start of the page.

import { call } from "./api.js";
import * as correct from "./correct.js";
import { $ } from "./dom.js";
import * as exporting from "./exporting.js";
import * as graph from "./graph.js";
import * as keys from "./keys.js";
import * as messages from "./messages.js";
import * as objects from "./objects.js";
import * as opening from "./opening.js";
import * as playback from "./playback.js";
import { refresh } from "./session.js";
import * as stage from "./stage.js";
import { on, store } from "./store.js";
import * as timeline from "./timeline.js";
import * as tracking from "./tracking.js";

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
  const pill = $("model");
  try {
    const status = await call("GET", "/status");
    opening.setStatus(status);
    store.ready = status.ready;
    const bad = status.error ?? status.warning;
    pill.classList.toggle("bad", Boolean(bad));
    const stage = `Starting: ${status.stage}…`;
    pill.textContent = bad ?? (status.ready ? status.weights : stage);
    pill.title = pill.textContent; // where it is cut off
    pill.hidden = !pill.textContent;
    if (!status.ready && !status.error) setTimeout(watch, 700);
  } catch (error) {
    pill.hidden = false;
    pill.textContent = error.message;
    setTimeout(watch, 2000);
  }
}

for (const part of [messages, stage, playback, timeline, objects, graph, correct, tracking, opening, exporting, keys]) part.setUp();
theme();
on("session", () => {
  $("clip-name").textContent = store.video.name;
  document.title = `${store.video.name} · Click2Graph`;
});
// Another tab may have changed the same session in the meantime.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && store.id && !store.tracking) refresh().catch(messages.complain);
});
await watch();
await opening.start();
