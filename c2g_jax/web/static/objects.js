// The list of objects: select, hide, rename, remove; suggestions folded under their subject.

import * as annotate from "./annotate.js";
import { correctObject } from "./correct.js";
import { $, element, icon, replace } from "./dom.js";
import { css } from "./masks.js";
import { note } from "./messages.js";
import { pick, picked } from "./picking.js";
import { thumbnail } from "./pictures.js";
import { removeObject } from "./session.js";
import { emit, isSuggested, nameOf, objectOf, on, percent, store } from "./store.js";

export function select(id) {
  Object.assign(store, { selected: id, adding: null, fresh: false, several: new Set() });
  emit("selection");
}

export function newSubject() {
  select(null);
  store.fresh = true;
  emit("selection");
  note("The next click or box makes a new subject.");
}

// A press in the list selects; with Shift or Ctrl several.
function press(event, id) {
  if (store.picking) return picked(id);
  if (!event.shiftKey && !event.ctrlKey && !event.metaKey) return select(store.selected === id && !store.several.size ? null : id);
  const several = new Set(store.several.size ? store.several : [store.selected].filter((one) => one !== null));
  if (!several.delete(id)) several.add(id);
  Object.assign(store, { several, selected: id });
  emit("selection");
}

export function removeSelected() {
  if (store.several.size > 1) annotate.removeSeveral([...store.several]);
  else if (store.selected !== null) removeObject(store.selected);
}

function addTo(id) {
  Object.assign(store, { adding: id, selected: null, fresh: false });
  emit("selection");
  note(`Click on an object related to ${nameOf(id)}.`);
}

export function toggleHidden(id) {
  if (!store.hidden.delete(id)) store.hidden.add(id);
  emit("selection");
}

function tool(name, label, testid, id, act, more = {}) {
  const attributes = { class: "bare icon", type: "button", "aria-label": label, title: label, "data-testid": testid, "data-key": `${testid}-${id}`, onclick: act };
  return element("button", { ...attributes, ...more }, icon(name));
}

function row(object) {
  const id = object.object_id;
  const hidden = store.hidden.has(id);
  const guess = isSuggested(object);
  const border = { style: { borderColor: css(id) } };
  const url = thumbnail(id);
  const picture = url ? element("img", { src: url, alt: "", ...border }) : element("span", { class: "blank", ...border });
  const sure = object.fixed ? "by you" : object.score && store.guesses !== "off" ? percent(object.score) : "";
  const chosen = store.selected === id || store.several.has(id);
  const classes = ["object", chosen ? "chosen" : "", object.role === "subject" ? "" : "child", guess ? "guess" : ""].join(" ");
  return element("li", { class: classes, "data-testid": "object", "data-key": `object-${id}` },
    element("button", {
      class: "pick", type: "button", "aria-pressed": String(chosen), "data-key": `pick-${id}`, "data-testid": "pick",
      "aria-label": `${nameOf(id)}, ${guess ? "suggested " : ""}${object.role}, ${sure}. Clicks correct it.`, onclick: (event) => press(event, id),
    }, picture, element("span", {}, nameOf(id)), element("small", {}, sure)),
    guess ? tool("check", `Accept ${nameOf(id)} (A)`, "accept", id, () => annotate.accept(object)) : null,
    object.role === "subject" && !guess ? tool("plus", `Add an object related to ${nameOf(id)}`, "add-object", id, () => addTo(id), { "aria-pressed": String(store.adding === id) }) : null,
    tool(hidden ? "hidden" : "eye", `Show ${nameOf(id)}`, "visible", id, () => toggleHidden(id), { "aria-pressed": String(!hidden) }),
    guess ? null : tool("edit", `Rename ${nameOf(id)}`, "rename", id, () => correctObject(object)),
    guess ? tool("close", `Dismiss ${nameOf(id)} (D)`, "dismiss", id, () => annotate.dismiss(object)) : tool("bin", `Remove ${nameOf(id)}`, "remove", id, () => removeObject(id)));
}

// What can be done with the selected object, below its row.
function actions(id) {
  const object = objectOf(id);
  const button = (text, testid, act, title) => element("button", { type: "button", class: "small", "data-testid": testid, "data-key": `${testid}-${id}`, title, onclick: act }, text);
  const several = store.several.size > 1;
  const single = [
    button("Relate…", "relate", () => pick("relate"), "Then choose the other object (R)"),
    button("Same as…", "same-as", () => pick("same"), "Another object is this one"),
    button("Cut here", "cut", () => annotate.cut(id), "From this frame on it is another object"),
    object.role === "subject" ? null : button("Make a subject", "promote", () => annotate.promote(id), "Find what it is related to"),
  ];
  return element("li", { class: "actions-row", "data-key": `actions-${id}` },
    ...(several ? [button(`Remove ${store.several.size} objects`, "remove-several", removeSelected, "(Delete)")] : single));
}

function fold(subject, guesses) {
  const open = store.unfolded.has(subject);
  const toggle = () => {
    if (!store.unfolded.delete(subject)) store.unfolded.add(subject);
    emit("selection");
  };
  const text = `${guesses.length} ${guesses.length === 1 ? "object" : "objects"} suggested`;
  return element("li", { class: "object child", "data-key": `fold-${subject}` },
    element("button", { class: "bare guesses", type: "button", "aria-expanded": String(open), "data-testid": "guesses", "data-key": `guesses-${subject}`, onclick: toggle }, icon("fold"), text));
}

// Subjects first, each followed by its objects, and by the suggested ones, folded.
function rows() {
  const shown = [];
  const subjects = store.objects.filter((o) => o.role === "subject" && !isSuggested(o));
  const placed = new Set(subjects);
  const add = (object) => {
    placed.add(object);
    shown.push(row(object));
    if (object.object_id === store.selected && !isSuggested(object)) shown.push(actions(object.object_id));
  };
  const folded = (key, guesses) => {
    if (!guesses.length) return;
    shown.push(fold(key, guesses));
    const open = store.unfolded.has(key);
    for (const object of guesses) {
      placed.add(object);
      if (open || object.object_id === store.selected) add(object);
    }
  };
  for (const subject of subjects) {
    const led = store.objects.filter((o) => !placed.has(o) && o.subject_ids[0] === subject.object_id);
    add(subject);
    led.filter((o) => !isSuggested(o)).forEach(add);
    folded(subject.object_id, led.filter(isSuggested));
  }
  const rest = store.objects.filter((o) => !placed.has(o));
  rest.filter((o) => !isSuggested(o)).forEach(add);
  folded("rest", rest.filter(isSuggested));
  return shown;
}

let known = { id: null, objects: new Set(), selected: null }; // those that had a row before

function build() {
  $("no-objects").hidden = store.objects.length > 0;
  replace($("objects"), rows());
  const ids = store.objects.map((o) => o.object_id);
  const fresh = known.id === store.id ? ids.filter((id) => !known.objects.has(id)) : [];
  const chosen = store.selected !== known.selected ? [store.selected] : [];
  known = { id: store.id, objects: new Set(ids), selected: store.selected };
  // Of the one that was selected the row of what can be done with it too.
  for (const id of [...fresh.slice(-1), ...chosen]) {
    reveal(`[data-key="actions-${id}"]`);
    reveal(`[data-key="object-${id}"]`);
  }
}

// Scroll a row into the view of its list, without moving the page.
export function reveal(selector) {
  const found = document.querySelector(selector);
  const list = found?.closest(".panel, .timeline");
  if (!list || list.scrollHeight <= list.clientHeight) return;
  const [a, b] = [found.getBoundingClientRect(), list.getBoundingClientRect()];
  if (a.top < b.top + 40) list.scrollTop -= b.top + 40 - a.top;
  else if (a.bottom > b.bottom - 6) list.scrollTop += a.bottom - b.bottom + 6;
}

export function setUp() {
  $("new-subject").addEventListener("click", newSubject);
  on("session summary selection thumbnails", build);
}
