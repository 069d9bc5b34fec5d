// The export menu.

import { download } from "./api.js";
import { $, element } from "./dom.js";
import { complain, note } from "./messages.js";
import { saveFile } from "./projects.js";
import { asked, store } from "./store.js";
import { waiting } from "./waiting.js";

const KINDS = [
  ["scene_graph", "scene_graph.json", "All objects, masks and relations, as JSON"],
  ["open_pvsg", "OpenPVSG folder", "A zip of pvsg.json, masks as PNG, and the video"],
  ["coco", "COCO", "Masks of each frame, for annotation tools"],
  ["graphml", "GraphML", "For networkx, Gephi, Cytoscape"],
  ["csv", "CSV", "One row per relation and span"],
  ["overlay", "Video with masks", "As mp4"],
];

const items = () => [...$("export-menu").querySelectorAll("[role=menuitem]")];

function toggle(open) {
  $("export-menu").hidden = !open;
  $("export").setAttribute("aria-expanded", String(open));
  if (open) items()[0].focus();
}

async function take(kind, name) {
  toggle(false);
  $("export").focus();
  if (!store.id) return;
  note(`Writing ${name}…`);
  try {
    const found = await waiting(`writing ${name}`, download(`/sessions/${store.id}/export`, { format: kind, threshold: asked() }));
    const url = URL.createObjectURL(found.blob);
    element("a", { href: url, download: found.name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    note(`${found.name} is saved.`);
  } catch (error) {
    complain(error);
  }
}

export function setUp() {
  $("export-menu").append(...KINDS.map(([kind, name, what]) =>
    element("button", { type: "button", role: "menuitem", tabindex: "-1", "data-testid": `export-${kind}`, onclick: () => take(kind, name) },
      element("span", {}, name), element("small", {}, what))));
  $("export-menu").append(element("button", { type: "button", role: "menuitem", tabindex: "-1", "data-testid": "export-project", onclick: () => { toggle(false); $("export").focus(); saveFile(); } },
    element("span", {}, "Project file (.c2g)"), element("small", {}, "To go on from, here or elsewhere")));
  $("export").addEventListener("click", () => toggle($("export-menu").hidden));
  $("export-menu").addEventListener("keydown", (event) => {
    const all = items();
    const at = all.indexOf(document.activeElement);
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
    if (event.key in moves) all.at(moves[event.key] % all.length).focus();
    else if (event.key === "Escape") { toggle(false); $("export").focus(); }
    else if (event.key === "Tab") return toggle(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  document.addEventListener("pointerdown", (event) => event.target.closest(".menu") || toggle(false));
}
