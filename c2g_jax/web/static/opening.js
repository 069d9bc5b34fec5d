// Opening of the default video, files, dropped files and projects.

import { call } from "./api.js";
import { $ } from "./dom.js";
import { complain, note } from "./messages.js";
import * as projects from "./projects.js";
import { show } from "./session.js";
import { store } from "./store.js";

let status = null;

export function setStatus(received) {
  if (!status) $("fps").value = received.fps;
  status = received;
}

export async function start() {
  const id = new URLSearchParams(location.hash.slice(1)).get("session");
  if (id && (await resume(id))) return;
  await startAnew();
}

async function startAnew() {
  // The last project on it, whatever the browser that made it.
  if (status?.video) await reading(() => call("POST", "/sessions", { json: {}, query: { newest: true } }));
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

const fps = () => ($("fps").checkValidity() ? $("fps").value || null : null);

export const openExample = () => reading(() => call("POST", "/sessions", { json: {}, query: { fps: fps() } }));

export function openFile(file) {
  const { limits } = status ?? {};
  if (limits && file.size > limits.bytes) {
    $("open-dialog").close();
    return complain(`The file is over the limit of ${Math.round(limits.bytes / 2 ** 20)} MB: choose a smaller one.`);
  }
  // This content type makes a cross-site request need a preflight, which the server rejects.
  const body = new Blob([file], { type: "application/octet-stream" });
  return reading(() => call("POST", "/sessions", { body, query: { name: file.name, fps: fps() } }));
}

async function resume(id) {
  try {
    await show(await call("GET", `/sessions/${encodeURIComponent(id)}/video`));
    return true;
  } catch (error) {
    if (error.status === 404) {
      history.replaceState(null, "", location.pathname);
      note("That session no longer exists.");
    } else complain(error);
    return false;
  }
}

export function openDialog() {
  const limits = status?.limits;
  $("limits").textContent = limits ? `Videos and images up to ${Math.round(limits.bytes / 2 ** 20)} MB and ${limits.frames} frames, or a project's file (.c2g). They stay on the machine of the server.` : "";
  $("open-example").hidden = !status?.video;
  $("open-example").textContent = `New project on ${status?.video}`;
  $("file").value = "";
  $("open-dialog").showModal();
  projects.list();
}

export function setUp() {
  projects.setUp(async (id) => {
    $("open-dialog").close();
    if (id === null) await startAnew();
    else await resume(id);
  });
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
