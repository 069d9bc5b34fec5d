// What the page waits for, shown on the video: nothing that takes long is silent.

import { call } from "./api.js";
import { $ } from "./dom.js";
import { store } from "./store.js";

const SOON = 200; // ms after which a wait is shown
const ASK = 600; // ms between questions to the server, only while something waits
const waits = new Map(); // token -> {text, since}
let timer = null;
let shown = false;
let told = null; // the server's status

const capital = (text) => text[0].toUpperCase() + text.slice(1);

// Begin to wait; returns a function that ends it. ahead: nobody asked for it yet.
export function waitFor(text, ahead = false) {
  const token = {};
  waits.set(token, { text, ahead, since: performance.now() });
  timer ??= setTimeout(tick, SOON);
  return () => {
    waits.delete(token);
    if (!waits.size) hide();
  };
}

export async function waiting(text, promise, ahead) {
  const done = waitFor(text, ahead);
  try {
    return await promise;
  } finally {
    done();
  }
}

export function setTold(status) {
  told = status;
  if (shown) write();
}

function hide() {
  clearTimeout(timer);
  timer = null;
  shown = false;
  told = null;
  $("busy").hidden = true;
}

async function tick() {
  shown = true;
  write();
  timer = setTimeout(tick, ASK);
  const status = await call("GET", "/status").catch(() => null);
  if (status && waits.size) setTold(status);
}

function write() {
  const all = [...waits.values()];
  if (!all.length) return;
  const { text } = all.findLast((one) => !one.ahead) ?? all.at(-1);
  const seconds = Math.round((performance.now() - Math.min(...all.map((w) => w.since))) / 1000);
  let words = text;
  if (told && !told.ready && !told.error) words = `Getting ready: ${told.stage}`;
  else if (told?.doing && told.doing !== text) words = `${text} · the model is ${told.doing}`;
  if (told?.preparing) words += ` · ${told.preparing} beside it`;
  $("busy-text").textContent = `${capital(words)}…${seconds >= 2 ? ` ${seconds} s` : ""}`;
  $("busy").hidden = false;
}

// While the model gets ready, this is said from the start.
export function gettingReady() {
  if (store.ready || store.gettingReady) return;
  store.gettingReady = waitFor("getting ready");
}

export function isReady() {
  store.gettingReady?.();
  store.gettingReady = null;
}
