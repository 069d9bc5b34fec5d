// The list of objects: select, hide, rename, remove, add objects that were not found.

import { correctObject } from "./correct.js";
import { $, element, icon, replace } from "./dom.js";
import { css } from "./masks.js";
import { note } from "./messages.js";
import { thumbnail } from "./pictures.js";
import { removeObject } from "./session.js";
import { emit, nameOf, on, percent, store } from "./store.js";

export function select(id) {
  store.selected = id;
  store.adding = null;
  emit("selection");
}

export function newSubject() {
  select(null);
  note("The next click adds a new subject.");
}

function addTo(id) {
  store.adding = id;
  store.selected = null;
  emit("selection");
  note(`Click on an object related to ${nameOf(id)}.`);
}

export function toggleHidden(id) {
  if (!store.hidden.delete(id)) store.hidden.add(id);
  emit("selection");
}

// Subjects first, each followed by the objects discovered for it.
function ordered() {
  const subjects = store.objects.filter((o) => o.role === "subject");
  const led = (s) => store.objects.filter((o) => o.role !== "subject" && o.subject_ids[0] === s.object_id);
  const rows = subjects.flatMap((s) => [s, ...led(s)]);
  return [...rows, ...store.objects.filter((o) => !rows.includes(o))];
}

function tool(name, label, testid, id, act, more = {}) {
  const attributes = { class: "bare icon", type: "button", "aria-label": label, title: label, "data-testid": testid, "data-key": `${testid}-${id}`, onclick: act };
  return element("button", { ...attributes, ...more }, icon(name));
}

function row(object) {
  const id = object.object_id;
  const hidden = store.hidden.has(id);
  const border = { style: { borderColor: css(id) } };
  const url = thumbnail(id);
  const picture = url ? element("img", { src: url, alt: "", ...border }) : element("span", { class: "blank", ...border });
  const sure = object.fixed ? "by you" : object.score ? percent(object.score) : "";
  const classes = ["object", store.selected === id ? "chosen" : "", object.role === "subject" ? "" : "child"].join(" ");
  return element("li", { class: classes, "data-testid": "object", "data-key": `object-${id}` },
    element("button", {
      class: "pick", type: "button", "aria-pressed": String(store.selected === id), "data-key": `pick-${id}`, "data-testid": "pick",
      "aria-label": `${nameOf(id)}, ${object.role}, ${sure}. Clicks correct it.`, onclick: () => select(store.selected === id ? null : id),
    }, picture, element("span", {}, nameOf(id)), element("small", {}, sure)),
    object.role === "subject" ? tool("plus", `Add an object related to ${nameOf(id)}`, "add-object", id, () => addTo(id), { "aria-pressed": String(store.adding === id) }) : null,
    tool(hidden ? "hidden" : "eye", `Show ${nameOf(id)}`, "visible", id, () => toggleHidden(id), { "aria-pressed": String(!hidden) }),
    tool("edit", `Rename ${nameOf(id)}`, "rename", id, () => correctObject(object)),
    tool("bin", `Remove ${nameOf(id)}`, "remove", id, () => removeObject(id)));
}

function build() {
  $("no-objects").hidden = store.objects.length > 0;
  replace($("objects"), ordered().map(row));
}

export function setUp() {
  $("new-subject").addEventListener("click", newSubject);
  on("session summary selection thumbnails", build);
}
