// The list of what lies in the folder of projects: open, rename, duplicate, delete.

import { call, download } from "./api.js";
import { $, element, icon } from "./dom.js";
import { complain, note } from "./messages.js";
import { emit, store } from "./store.js";

let open = null; // function of the page that opens a project by its id
let latest = 0; // counts lists and questions: an earlier list does not replace a later one

export async function list() {
  const part = $("projects-part"), mine = ++latest;
  try {
    const { folder, projects } = await call("GET", "/projects");
    if (mine !== latest) return;
    $("projects-folder").textContent = folder;
    $("no-projects").hidden = projects.length > 0;
    $("projects").replaceChildren(...projects.map(row));
    part.hidden = false;
  } catch (error) {
    part.hidden = true;
    complain(error);
  }
}

const tool = (name, label, testid, act) =>
  element("button", { class: "bare icon", type: "button", "aria-label": label, title: label, "data-testid": testid, onclick: act }, icon(name));

function row(project) {
  const { id, name, frames, used } = project;
  const day = new Date(1000 * used).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const here = id === store.id;
  const line = element("li", { "data-testid": "project" },
    element("button", { class: "pick", type: "button", "data-testid": "project-open", "aria-current": here ? "true" : null, onclick: () => open(id) },
      element("span", {}, name), element("small", {}, `${here ? "open now · " : ""}${frames} frames · ${day}`)),
    tool("edit", `Rename ${name}`, "project-rename", () => rename(project, line)),
    tool("copy", `Duplicate ${name}`, "project-copy", () => duplicate(project)),
    tool("bin", `Delete ${name}`, "project-delete", () => ask(project, line)));
  return line;
}

function rename(project, line) {
  latest += 1;
  const field = element("input", { type: "text", value: project.name, maxlength: "100", "aria-label": `New name of ${project.name}`, "data-testid": "project-name" });
  const form = element("form", { class: "row-form" }, field, element("button", { type: "submit", class: "primary" }, "Rename"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = field.value.trim();
    if (!name) return;
    try {
      const answer = await call("PATCH", `/sessions/${project.id}`, { json: { name } });
      if (project.id === store.id) {
        store.name = answer.name;
        emit("name");
      }
    } catch (error) {
      complain(error);
    }
    list();
  });
  line.replaceChildren(form);
  field.select();
  field.focus();
}

async function duplicate({ id, name }) {
  await call("POST", `/sessions/${id}/duplicate`).then(() => note(`${name} is duplicated.`), complain);
  list();
}

function ask(project, line) {
  latest += 1;
  const keep = element("button", { type: "button", onclick: list }, "Keep");
  line.replaceChildren(
    element("p", { class: "question" }, `Delete ${project.name} and all work on it? This cannot be undone.`),
    element("button", { type: "button", class: "danger", "data-testid": "project-delete-yes", onclick: () => remove(project) }, "Delete"), keep);
  keep.focus();
}

async function remove({ id, name }) {
  try {
    await call("DELETE", `/sessions/${id}`);
  } catch (error) {
    if (error.status !== 404) {
      complain(error);
      return list();
    }
  }
  note(`${name} is deleted.`);
  if (id === store.id) open(null);
  else list();
}

// Download the session's file, from which it goes on anywhere.
export async function saveFile() {
  if (!store.id) return;
  note("Writing the project's file…");
  try {
    const found = await download(`/sessions/${store.id}/file`);
    const url = URL.createObjectURL(found.blob);
    element("a", { href: url, download: found.name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    note(`${found.name} is saved. Open… reads it again.`);
  } catch (error) {
    complain(error);
  }
}

export function setUp(opening) {
  open = opening;
}
