// The dialog that names: search, arrow keys, Enter. Names come likeliest and most recent first.

import { relateNew } from "./annotate.js";
import { call } from "./api.js";
import { $, element } from "./dom.js";
import { complain, occupied } from "./messages.js";
import { relate, rename } from "./session.js";
import { isSuggested, nameOf, objectOf, store } from "./store.js";

let task = null; // {names, current, kinds, apply(name, kind)}
let active = 0;
let opener = null; // data-key of the element that had the focus

let known = { id: null }; // names as they were last, shown until the model has time to tell

// The session's names; those that are likely for an object of a subject, and of relations those
// between the two, come first.
async function words(query) {
  const { id } = store;
  const found = await call("GET", `/sessions/${id}/vocabulary`, { query });
  known = { id, objects: found.categories, predicates: found.predicates };
  return known;
}

async function wordsAtOnce(kind) {
  if (known.id !== store.id) known = { id: store.id, ...(await call("GET", "/vocabulary")) };
  return known[kind];
}

// Whose object it is: of the subject that the model found it for, or that a person related to it.
const subjectOf = (object) =>
  object.subject_ids?.[0] ?? store.relations.find((r) => r.object_id === object.object_id && !isSuggested(r))?.subject_id ?? null;

export async function correctObject(object) {
  const id = object.object_id;
  await ask({
    title: `What is ${nameOf(id)}?`,
    kind: "objects",
    query: { subject_id: subjectOf(object) },
    current: object.category,
    kinds: { thing: "a new kind of thing", stuff: "a new kind of stuff (grass, water, a wall)" },
    neither: object.fixed && store.guesses !== "off" ? "Use the model's prediction" : null,
    apply: (name, kind) => rename(id, name, kind),
  });
}

export async function correctRelation(relation, span) {
  const { subject_id, object_id } = relation;
  await ask({
    title: `What is ${nameOf(subject_id)} doing with ${nameOf(object_id)}?`,
    kind: "predicates",
    query: { subject_id, object_id },
    current: relation.predicate,
    kinds: {},
    neither: "Not related",
    span,
    apply: (predicate) => {
      const whole = !span || document.querySelector("input[name=scope]:checked").value === "clip";
      const [start, stop] = whole ? [null, null] : span;
      return relate({ subject_id, object_id, predicate, start, stop });
    },
  });
}

// Name a relation that is not there yet.
export async function chooseRelation(subject_id, object_id) {
  if (!objectOf(subject_id) || !objectOf(object_id)) return;
  const guess = store.relations.find((r) => isSuggested(r) && r.subject_id === subject_id && r.object_id === object_id);
  await ask({
    title: `What is ${nameOf(subject_id)} doing with ${nameOf(object_id)}?`,
    kind: "predicates",
    query: { subject_id, object_id },
    current: guess?.predicate,
    kinds: { predicate: "a new relation" },
    apply: (predicate, kind) => relateNew(subject_id, object_id, predicate, Boolean(kind)),
  });
}

async function ask({ title, kind, query, current, kinds, neither, span, apply }) {
  if (occupied()) return;
  const mine = (task = { names: [], current, kinds, span, apply });
  $("correct-title").textContent = title;
  $("neither").hidden = !neither;
  $("neither").textContent = neither ?? "";
  $("scope").hidden = !span;
  if (span) $("scope-span").textContent = `frames ${span[0]} to ${span[1]}`;
  $("search").value = "";
  list();
  opener = document.activeElement.dataset.key ?? null;
  $("correct").showModal();
  $("search").focus();
  try {
    const ordered = words(query);
    ordered.catch(() => {}); // awaited below
    mine.names = await wordsAtOnce(kind);
    if (task === mine) list();
    const names = (await ordered)[kind];
    if (task !== mine || names.join() === mine.names.join()) return;
    const chosen = offered()[active]; // the person's choice stays what it is
    mine.names = names;
    list();
    const again = offered().findIndex((one) => one.text === chosen?.text);
    if ($("search").value && again >= 0) active = again;
    mark();
  } catch (error) {
    $("correct").close();
    complain(error);
  }
}

// What is offered: names that start with the typed text, names that contain it, and, where no
// name is equal, the text itself as a new one. [{name, kind, text}]
function offered() {
  const written = $("search").value.trim().replace(/\s+/g, " ");
  const typed = written.toLowerCase();
  const low = new Map(task.names.map((name) => [name, name.toLowerCase()]));
  const begins = task.names.filter((name) => low.get(name).startsWith(typed));
  const found = [...begins, ...task.names.filter((name) => low.get(name).includes(typed) && !low.get(name).startsWith(typed))];
  const fresh = typed && task.names.length && ![...low.values()].includes(typed) ? Object.entries(task.kinds) : [];
  return [
    ...found.map((name) => ({ name, kind: null, text: name })),
    ...fresh.map(([kind, what]) => ({ name: written, kind, text: `Add “${written}”: ${what}` })),
  ];
}

const MOST = 300; // rows drawn; the search finds the others

function list() {
  const found = offered().slice(0, MOST);
  active = $("search").value ? 0 : Math.max(0, found.findIndex(({ name }) => name === task.current));
  $("names").replaceChildren(...found.map(({ text, kind }, index) =>
    element("li", { id: `name-${index}`, role: "option", class: kind ? "fresh" : null, "data-testid": kind ? "new-name" : "name", onclick: () => take(found[index], index) }, text)));
  if (!found.some(({ kind }) => !kind) && task.names.length) $("names").prepend(element("li", { class: "quiet", role: "presentation" }, "No such name in the vocabulary."));
  mark();
}

// A press on a name takes it; where a span is to be chosen too, it only marks it.
function take(one, index) {
  if (!task.span) return done(one);
  active = index;
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

function done({ name, kind }) {
  $("correct").close();
  task.apply(name, kind);
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
      if (count) done(offered()[active]);
    } else return;
    event.preventDefault();
  });
  $("apply").addEventListener("click", () => done(offered()[active]));
  $("neither").addEventListener("click", () => done({ name: null, kind: null }));
}
