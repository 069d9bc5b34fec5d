// Opening of the default video, files, dropped files and recent sessions.

import { call } from "./api.js";
import { $, element, icon } from "./dom.js";
import { complain, note } from "./messages.js";
import { forgetRecent, recent } from "./recent.js";
import { show } from "./session.js";
import { store } from "./store.js";

let status = null;

export function setStatus(received) {
  status = received;
}

export async function start() {
  const id = new URLSearchParams(location.hash.slice(1)).get("session");
  if (id && (await resume(id))) return;
  if (status?.video) await openExample();
  else showEmpty(status?.video_error);
}

function showEmpty(why) {
  $("stage").hidden = true;
  $("empty").hidden = false;
  $("empty-why").textContent = why ?? "";
}

async function reading(job) {
  $("open-dialog").close();
  $("reading").hidden = false;
  try {
    const session = await job();
    $("reading").hidden = true; // clicks are possible from here on
    await show(session);
  } catch (error) {
    complain(error);
    if (!store.id) showEmpty();
  } finally {
    $("reading").hidden = true;
  }
}

export const openExample = () => reading(() => call("POST", "/sessions", { json: {} }));

export function openFile(file) {
  const { limits } = status ?? {};
  if (limits && file.size > limits.bytes) {
    $("open-dialog").close();
    return complain(`The file is over the limit of ${Math.round(limits.bytes / 2 ** 20)} MB: choose a smaller one.`);
  }
  // This content type makes a cross-site request need a preflight, which the server rejects.
  const body = new Blob([file], { type: "application/octet-stream" });
  return reading(() => call("POST", "/sessions", { body, query: { name: file.name } }));
}

async function resume(id) {
  try {
    await show(await call("GET", `/sessions/${encodeURIComponent(id)}/video`));
    return true;
  } catch (error) {
    if (error.status === 404) {
      forgetRecent(id);
      history.replaceState(null, "", location.pathname);
      note("That session no longer exists.");
    } else complain(error);
    return false;
  }
}

export function openDialog() {
  const limits = status?.limits;
  $("limits").textContent = limits ? `Up to ${Math.round(limits.bytes / 2 ** 20)} MB and ${Math.round(limits.frames / 300)} minutes. Nothing leaves this machine.` : "";
  $("open-example").hidden = !status?.video;
  $("open-example").textContent = `Open ${status?.video} again`;
  const rows = recent().filter((entry) => entry.id !== store.id).map(row);
  $("recent-part").hidden = !rows.length;
  $("recent").replaceChildren(...rows);
  $("file").value = "";
  $("open-dialog").showModal();
}

function row({ id, name, when }) {
  const day = new Date(when).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const line = element("li", {},
    element("button", { class: "pick", type: "button", onclick: async () => { $("open-dialog").close(); await resume(id); } }, `${name} · ${day}`),
    element("button", { class: "icon", type: "button", "aria-label": `Delete the session on ${name}, ${day}`, onclick: () => remove(id, line) }, icon("bin")));
  return line;
}

async function remove(id, line) {
  await call("DELETE", `/sessions/${id}`).catch((error) => error.status === 404 || complain(error));
  forgetRecent(id);
  line.remove();
}

export function setUp() {
  $("open").addEventListener("click", openDialog);
  $("empty-open").addEventListener("click", openDialog);
  $("open-example").addEventListener("click", openExample);
  $("file").addEventListener("change", () => $("file").files.length && openFile($("file").files[0]));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (file) openFile(file);
  });
}
