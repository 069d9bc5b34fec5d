// The dialog that corrects a category or predicate: search, arrow keys, Enter.

import { call } from "./api.js";
import { $, element } from "./dom.js";
import { complain } from "./messages.js";
import { relate, rename } from "./session.js";
import { nameOf, store } from "./store.js";

let vocabulary = null;
let task = null; // {names, current, apply(name)}
let active = 0;
let opener = null; // data-key of the element that had the focus

async function words() {
  if (vocabulary) return vocabulary;
  const found = await call("GET", "/vocabulary");
  if (store.ready) vocabulary = found; // before, it may not be the model's vocabulary
  return found;
}

export async function correctObject(object) {
  const id = object.object_id;
  await ask({
    title: `What is ${nameOf(id)}?`,
    kind: "objects",
    current: object.category,
    neither: object.fixed ? "Use the model's prediction" : null,
    apply: (name) => rename(id, name),
  });
}

export async function correctRelation(relation, span) {
  const { subject_id, object_id } = relation;
  await ask({
    title: `What is ${nameOf(subject_id)} doing with ${nameOf(object_id)}?`,
    kind: "predicates",
    current: relation.predicate,
    neither: "Not related",
    span,
    apply: (predicate) => {
      const whole = !span || document.querySelector("input[name=scope]:checked").value === "clip";
      const [start, stop] = whole ? [null, null] : span;
      return relate({ subject_id, object_id, predicate, start, stop });
    },
  });
}

async function ask({ title, kind, current, neither, span, apply }) {
  if (store.tracking) return;
  const mine = (task = { names: [], current, apply });
  $("correct-title").textContent = title;
  $("neither").hidden = !neither;
  $("neither").textContent = neither ?? "";
  $("scope").hidden = !span;
  if (span) $("scope-span").textContent = `frames ${span[0] + 1} to ${span[1] + 1}`;
  $("search").value = "";
  list();
  opener = document.activeElement.dataset.key ?? null;
  $("correct").showModal();
  $("search").focus();
  try {
    mine.names = (await words())[kind];
    if (task === mine) list();
  } catch (error) {
    $("correct").close();
    complain(error);
  }
}

// Names that start with the typed text, then names that contain it.
function matching() {
  const typed = $("search").value.trim().toLowerCase();
  const begins = task.names.filter((name) => name.startsWith(typed));
  return [...begins, ...task.names.filter((name) => name.includes(typed) && !begins.includes(name))];
}

function list() {
  const found = matching();
  active = $("search").value ? 0 : Math.max(0, found.indexOf(task.current));
  $("names").replaceChildren(...found.map((name, index) =>
    element("li", { id: `name-${index}`, role: "option", "data-testid": "name", onclick: () => { active = index; mark(); }, ondblclick: () => done(name) }, name)));
  if (!found.length && task.names.length) $("names").append(element("li", { class: "quiet", role: "presentation" }, "No such name in the vocabulary."));
  mark();
}

function mark() {
  const options = [...$("names").querySelectorAll("[role=option]")];
  options.forEach((option, index) => option.setAttribute("aria-selected", String(index === active)));
  options[active]?.scrollIntoView({ block: "nearest" });
  if (options.length) $("search").setAttribute("aria-activedescendant", `name-${active}`);
  else $("search").removeAttribute("aria-activedescendant");
  $("apply").disabled = !options.length;
}

function done(name) {
  $("correct").close();
  task.apply(name);
}

// The browser restores the focus, but not to a button that was rebuilt meanwhile.
function restoreFocus() {
  if (!opener) return;
  document.querySelector(`[data-key="${CSS.escape(opener)}"]`)?.focus({ preventScroll: true });
}

export function setUp() {
  $("correct").addEventListener("close", restoreFocus);
  $("search").addEventListener("input", list);
  $("search").addEventListener("keydown", (event) => {
    const count = $("names").querySelectorAll("[role=option]").length;
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
    if (event.key in moves) {
      active = Math.max(0, Math.min(count - 1, active + moves[event.key]));
      mark();
    } else if (event.key === "Enter") {
      if (count) done(matching()[active]);
    } else return;
    event.preventDefault();
  });
  $("apply").addEventListener("click", () => done(matching()[active]));
  $("neither").addEventListener("click", () => done(null));
}
