// The scene graph: for each subject, a star of the objects that it is related to.

import { chooseRelation, correctObject, correctRelation } from "./correct.js";
import { $, drawn, element, replace } from "./dom.js";
import { css } from "./masks.js";
import { thumbnail } from "./pictures.js";
import { refresh, relate } from "./session.js";
import { complain } from "./messages.js";
import { picked } from "./picking.js";
import { acceptChosen, dismissChosen } from "./review.js";
import * as spans from "./spans.js";
import { emit, isSuggested, nameOf, objectOf, on, percent, relationsNow, sameRelation, store } from "./store.js";
import { choose } from "./timeline.js";

const WIDTH = 340;
const NODE = 46;
const ROW = 84;
const LINE = 26; // height per predicate

// Relations as {subject_id, object_id, predicate, confidence, fixed, spans}.
function relations() {
  const found = store.wholeClip ? store.relations : relationsNow();
  return found.map((r) => ({ ...r, confidence: r.score }));
}

function press(act) {
  return {
    class: "hit", role: "button", tabindex: "0", onclick: act,
    onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); act(); } },
  };
}

const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function node(id, x, y) {
  const object = objectOf(id);
  const url = thumbnail(id);
  const half = NODE / 2;
  const act = () => (store.picking ? picked(id) : object && correctObject(object));
  return drawn("g", { ...press(act), class: isSuggested(object) ? "hit guess" : "hit", "aria-label": `Rename ${nameOf(id)}`, "data-testid": "node", "data-node": id, "data-key": `node-${x}-${id}` },
    drawn("rect", { class: "node plate", x: x - half, y: y - half, width: NODE, height: NODE, rx: 8, style: { stroke: css(id) } }),
    url ? drawn("image", { href: url, x: x - half + 2, y: y - half + 2, width: NODE - 4, height: NODE - 4, preserveAspectRatio: "xMidYMid slice" }) : null,
    drawn("text", { x, y: y + half + 15, "text-anchor": "middle" }, short(nameOf(id), 11)));
}

function plate(relation, x, y) {
  const chosen = sameRelation(store.chosen, relation);
  const guess = isSuggested(relation);
  const sure = relation.fixed ? "by you" : percent(relation.confidence);
  const label = `${nameOf(relation.subject_id)} ${relation.predicate} ${nameOf(relation.object_id)}, ${sure}`;
  const span = relation.spans.find(([a, b]) => a <= store.frame && store.frame <= b) ?? relation.spans[0];
  const hit = press(() => choose(relation, span));
  return drawn("g", { ...hit, class: `hit${chosen ? " chosen" : ""}${guess ? " guess" : ""}`, "aria-label": guess ? `Suggested: ${label}` : label, "aria-pressed": String(chosen), "data-testid": "edge", "data-key": `edge-${relation.subject_id}-${relation.object_id}-${relation.predicate}-${relation.state}` },
    drawn("rect", { class: "plate", x: x - 75, y: y - 11, width: 150, height: 22, rx: 11 }),
    drawn("text", { x: x - 66, y: y + 4.5 }, short(relation.predicate, 15)),
    drawn("text", { class: "small", x: x + 66, y: y + 4, "text-anchor": "end" }, sure));
}

function star(subject, found) {
  const id = subject.object_id;
  const title = element("h3", {}, element("span", { class: "chip", style: { background: css(id) } }), nameOf(id));
  const partners = [...new Set(found.map((r) => r.object_id))];
  if (!partners.length) {
    const why = store.guesses === "off" ? "Press R to relate it to another object." : store.tracked.length ? (store.wholeClip ? "No relation has this confidence." : "No relation on this frame.") : "Track the video (K) to find its relations.";
    return element("div", { class: "star", "data-testid": "star" }, title, element("p", { class: "quiet" }, why));
  }
  const rows = partners.map((partner) => found.filter((r) => r.object_id === partner));
  const heights = rows.map((all) => Math.max(ROW, all.length * LINE + 20));
  const height = heights.reduce((a, b) => a + b, 0);
  const [left, right, middle] = [NODE / 2 + 20, WIDTH - NODE / 2 - 20, WIDTH / 2];
  const centre = height / 2 - 6;
  const lines = [], plates = [], nodes = [node(id, left, centre)];
  let top = 0;
  rows.forEach((all, k) => {
    const y = top + heights[k] / 2 - 6;
    lines.push(drawn("path", { class: all.every(isSuggested) ? "edge guess" : "edge", d: `M${left + NODE / 2} ${centre} C${middle - 65} ${centre} ${middle - 95} ${y} ${middle} ${y} L${right - NODE / 2} ${y}` }));
    all.forEach((relation, j) => plates.push(plate(relation, middle, y + (j - (all.length - 1) / 2) * LINE)));
    nodes.push(node(partners[k], right, y));
    top += heights[k];
  });
  const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${height + 6}`, role: "group", "aria-label": `Relations of ${nameOf(id)}` }, ...lines, ...nodes, ...plates);
  return element("div", { class: "star", "data-testid": "star" }, title, picture);
}

function build() {
  const found = relations();
  const acting = new Set(found.map((r) => r.subject_id));
  const subjects = store.objects.filter((o) => o.role === "subject" || acting.has(o.object_id));
  replace($("graphs"), subjects.map((s) => star(s, found.filter((r) => r.subject_id === s.object_id))));
}

function strip() {
  const chosen = store.chosen;
  $("relation").hidden = !chosen;
  if (!chosen) return;
  const { subject_id, object_id, predicate, span } = chosen;
  const guess = isSuggested(store.relations.find((r) => sameRelation(r, chosen)) ?? chosen);
  const button = (text, testid, act) => element("button", { type: "button", "data-testid": testid, "data-key": testid, onclick: act }, text);
  replace($("relation"), [
    element("p", {}, `${nameOf(subject_id)} `, element("strong", {}, predicate), ` ${nameOf(object_id)}`, guess ? " · suggested" : ""),
    ...(guess ? [button("Accept (A)", "relation-accept", acceptChosen), button("Dismiss (D)", "relation-dismiss", dismissChosen)] : []),
    button("Correct…", "relation-correct", () => correctRelation(chosen, span)),
    button("Done", "relation-done", () => { store.chosen = null; emit("chosen"); }),
    guess ? null : button("Not related", "relation-reject", () => relate({ subject_id, object_id, predicate: null, start: null, stop: null })),
    ...(guess ? [] : [
      button("Begins (I)", "span-begin", spans.begin),
      button("Ends (O)", "span-stop", spans.end),
      button("Split (S)", "span-split", spans.split),
      button("Join", "span-join", spans.join),
      button("Delete", "span-delete", spans.remove),
    ]),
  ].filter(Boolean));
}

// The server smooths spans anew, so that list, picture, lanes and graph change alike.
const again = () => store.id && !store.tracking && refresh().catch(complain);
let timer = null;

// A drag from one node to another relates them.
function joining() {
  let from = null;
  const nodeAt = (event) => document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-node]");
  $("graphs").addEventListener("pointerdown", (event) => { from = event.target.closest("[data-node]")?.dataset.node ?? null; });
  $("graphs").addEventListener("dragstart", (event) => event.preventDefault());
  addEventListener("pointerup", (event) => {
    const to = from === null ? null : nodeAt(event)?.dataset.node ?? null;
    if (to !== null && to !== from) chooseRelation(Number(from), Number(to));
    from = null;
  });
}

export function setUp() {
  joining();
  on("session summary frame view chosen thumbnails threshold", build);
  on("chosen summary", strip);
  for (const input of document.querySelectorAll("input[name=span]"))
    input.addEventListener("change", () => { store.wholeClip = input.value === "clip" && input.checked; build(); });
  const threshold = $("threshold");
  store.threshold = Number(threshold.value);
  threshold.addEventListener("input", () => {
    Object.assign(store, { threshold: Number(threshold.value), moved: true });
    emit("threshold");
    clearTimeout(timer);
    timer = setTimeout(again, 120);
  });
  on("threshold", () => {
    if (!store.moved) threshold.value = store.threshold;
    $("threshold-value").textContent = percent(store.threshold);
  });
}
