// The splitter between video and timeline, and panels that fold; kept in the browser.

import { $ } from "./dom.js";

const KEY = "c2g-layout";
const LEAST = 64; // px of the timeline
const VIDEO = 200; // px that the video keeps
let layout = { timeline: null, folded: [] };

function read() {
  try {
    layout = { ...layout, ...JSON.parse(localStorage.getItem(KEY)) };
  } catch {
    // Storage is off: the layout starts anew.
  }
}

function write() {
  try {
    localStorage.setItem(KEY, JSON.stringify(layout));
  } catch {
    // As above.
  }
}

// The largest timeline that leaves the video its room.
function most() {
  return Math.max(LEAST, $("timeline").offsetHeight + $("stage").parentElement.clientHeight - VIDEO);
}

function size(height) {
  layout.timeline = Math.round(Math.max(LEAST, Math.min(most(), height)));
  document.documentElement.style.setProperty("--timeline", `${layout.timeline}px`);
  $("splitter").setAttribute("aria-valuenow", layout.timeline);
}

function splitter() {
  const bar = $("splitter");
  let from = null;
  bar.addEventListener("pointerdown", (event) => {
    from = { y: event.clientY, height: $("timeline").offsetHeight };
    bar.setPointerCapture(event.pointerId);
  });
  bar.addEventListener("pointermove", (event) => from && size(from.height + from.y - event.clientY));
  for (const end of ["pointerup", "pointercancel"]) bar.addEventListener(end, () => { from = null; write(); });
  bar.addEventListener("dblclick", () => {
    layout.timeline = null;
    document.documentElement.style.removeProperty("--timeline");
    write();
  });
  bar.addEventListener("keydown", (event) => {
    const moves = { ArrowUp: 24, ArrowDown: -24 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    event.stopPropagation();
    size($("timeline").offsetHeight + moves[event.key]);
    write();
  });
  if (layout.timeline) {
    document.documentElement.style.setProperty("--timeline", `${layout.timeline}px`);
    // A smaller window than last time: the video keeps its room.
    requestAnimationFrame(() => layout.timeline > most() && size(layout.timeline));
  }
}

function folding() {
  for (const button of document.querySelectorAll(".fold")) {
    const panel = $(button.getAttribute("aria-controls"));
    const name = panel.id;
    const show = () => {
      const folded = layout.folded.includes(name);
      panel.classList.toggle("folded", folded);
      button.setAttribute("aria-expanded", String(!folded));
    };
    button.addEventListener("click", () => {
      const rest = layout.folded.filter((other) => other !== name);
      layout.folded = rest.length < layout.folded.length ? rest : [...rest, name];
      write();
      show();
    });
    show();
  }
}

export function setUp() {
  read();
  splitter();
  folding();
}
