// The current frame, with masks, tags and prompts.

import { $, element, replace } from "./dom.js";
import { colour, css, paint } from "./masks.js";
import { cutOut, loadAhead, picture } from "./pictures.js";
import { pickingText } from "./picking.js";
import { deletePrompt } from "./session.js";
import { endsOf, isGiven, isSuggested, nameOf, objectOf, on, relationsNow, store, view } from "./store.js";

let shown = -1; // the frame that is drawn

export const withKey = (event) => event.shiftKey || event.ctrlKey || event.metaKey || event.altKey;

export const scale = () => store.video.width / ($("stage").clientWidth || 1); // video pixels per screen pixel

async function showFrame() {
  const { frame } = store;
  const image = picture(frame);
  if (!image.complete) await image.ready;
  if (store.frame !== frame || !image.naturalWidth) return;
  $("picture").getContext("2d").drawImage(image, 0, 0, store.video.width, store.video.height);
  shown = frame;
  loadAhead(frame);
  draw();
}

function draw() {
  const canvas = $("masks");
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const found = shown === store.frame ? view() : null;
  const related = endsOf(relationsNow());
  const drawn = [];
  for (const object of found?.objects ?? []) {
    const id = object.object_id;
    if (!object.rle || store.hidden.has(id)) continue;
    const lit = store.chosen && [store.chosen.subject_id, store.chosen.object_id].includes(id);
    const dim = store.chosen && !lit;
    const strong = lit || (!store.chosen && id === store.selected);
    // Discovered objects without a confident relation on this frame are drawn faintly.
    const given = isGiven(object);
    const quiet = !strong && !given && !related.has(id);
    const line = Math.max(1, Math.round(scale() * (strong ? 3 : 1.6)));
    const guess = isSuggested(object) && !strong;
    if (guess && quiet) continue; // folded away: it is related to nothing on this frame
    const { canvas: mask, box } = paint(object.rle, colour(id), strong ? 0.5 : guess ? 0.12 : quiet ? 0.06 : 0.36, line, guess);
    pen.globalAlpha = dim ? 0.2 : quiet ? 0.4 : 1;
    pen.drawImage(mask, 0, 0);
    if (box.area) drawn.push({ id, box, dim, quiet, rank: strong ? 0 : given ? 1 : 2 });
  }
  pen.globalAlpha = 1;
  const named = drawn.filter((one) => !one.quiet).sort((a, b) => a.rank - b.rank);
  const taken = [];
  $("tags").replaceChildren(...named.map((one) => tag(one, taken)).filter(Boolean));
  $("masks").dataset.objects = drawn.length;
  replace($("dots"), (found?.objects ?? []).flatMap(dots));
  if (found && shown === store.frame) cutOut(picture(shown));
}

export const at = (x, y) => ({ left: `${(100 * x) / store.video.width}%`, top: `${(100 * y) / store.video.height}%` });

// A name tag above, below or on its mask, where no other tag is. If all three places are taken,
// only selected and prompted objects get a tag.
function tag({ id, box, dim, rank }, taken) {
  const { width, height } = store.video;
  const text = nameOf(id);
  const half = [((text.length * 7 + 14) / 2) * scale(), 10 * scale()]; // approximate half size of the tag
  const x = Math.min(Math.max((box.x0 + box.x1) / 2, half[0]), width - half[0]);
  const places = [box.y0 - 1.3 * half[1], box.y1 + 1.3 * half[1], (box.y0 + box.y1) / 2]
    .map((y) => Math.min(Math.max(y, half[1]), height - half[1]));
  const meets = (y) => taken.some((t) => Math.abs(t.x - x) < t.half[0] + half[0] && Math.abs(t.y - y) < 2 * half[1]);
  const free = places.find((place) => !meets(place));
  if (free === undefined && rank === 2) return null;
  const y = free ?? places[0];
  taken.push({ x, y, half });
  const style = { ...at(x, y), borderColor: css(id) };
  return element("span", { class: dim ? "tag dim" : "tag", style }, text);
}

// Prompts that are not answered yet, where they were made.
function pending() {
  $("pending").replaceChildren(...store.pending.filter((one) => one.frame === store.frame).map((one) => {
    if (one.kind !== "box") return element("span", { class: "dot pending", style: at(one.x, one.y) });
    const span = { width: `${(100 * (one.x2 - one.x1)) / store.video.width}%`, height: `${(100 * (one.y2 - one.y1)) / store.video.height}%` };
    return element("div", { class: "frame-box pending", style: { ...at(one.x1, one.y1), ...span } });
  }));
}

function dots(object) {
  const id = object.object_id;
  if (store.hidden.has(id)) return [];
  // Only those of the selected object can be pressed: elsewhere a click selects the object.
  if (id !== store.selected) {
    return object.prompts.filter((given) => given.kind === "point").map((given) =>
      element("span", { class: `dot faint${given.label ? "" : " minus"}`, style: at(given.x, given.y) }));
  }
  return object.prompts.flatMap((given, index) => {
    const act = (event) => {
      event.stopPropagation();
      // A double click made it, and keeps it.
      if (event.detail < 2 && !withKey(event)) deletePrompt(id, index, given.kind);
    };
    const only = object.prompts.length === 1 && objectOf(id)?.prompted.length === 1;
    const title = only ? `Delete, and ${nameOf(id)} with it` : "Delete";
    const common = { type: "button", onclick: act, "data-key": `dot-${id}-${index}`, "data-testid": "dot", title };
    if (given.kind === "point") {
      const plus = given.label === 1;
      const label = `Delete the ${plus ? "include" : "exclude"} point of object ${id} at ${Math.round(given.x)}, ${Math.round(given.y)}`;
      return element("button", { ...common, class: plus ? "dot" : "dot minus", style: at(given.x, given.y), "aria-label": label }, plus ? "+" : "−");
    }
    if (given.kind !== "box") return [];
    const [x1, y1, x2, y2] = given.box;
    const span = { width: `${(100 * (x2 - x1)) / store.video.width}%`, height: `${(100 * (y2 - y1)) / store.video.height}%` };
    return [
      element("div", { class: "frame-box", style: { ...at(x1, y1), ...span } }),
      element("button", { ...common, class: "dot corner", style: at(x1, y1), "aria-label": `Delete the box of object ${id}` }, "×"),
    ];
  });
}

function target() {
  const chosen = objectOf(store.selected);
  const text = store.adding !== null
    ? `Click on an object related to ${nameOf(store.adding)}.`
    : store.picking ? pickingText()
    : store.several.size > 1 ? `${store.several.size} objects are selected: Delete removes them.`
    : chosen ? `${nameOf(chosen.object_id)} is selected: Shift-click adds to it, N begins a new one.`
    : store.fresh ? "The next click or box makes a new subject." : "Click on a subject.";
  $("target").textContent = text;
  $("target").classList.toggle("asked", Boolean(store.picking));
}

export function setUp() {
  on("session", () => {
    for (const id of ["picture", "masks"]) {
      $(id).width = store.video.width;
      $(id).height = store.video.height;
    }
    shown = -1;
    $("stage").hidden = false;
    $("empty").hidden = true;
  });
  on("session frame", () => { draw(); showFrame(); });
  on("view summary selection chosen threshold zoom", () => store.video && draw());
  on("session frame pending", pending);
  on("selection summary", target);
  target();
}
