// Files of the open project: annotations to go on from, a vocabulary of its own; and all projects
// as one data set.

import { call, download } from "./api.js";
import { $, element } from "./dom.js";
import { complain, note } from "./messages.js";
import { change, refresh } from "./session.js";
import { asked, store } from "./store.js";
import { waiting } from "./waiting.js";

const body = (file) => new Blob([file], { type: "application/octet-stream" });

async function take(file) {
  if (!store.id) return;
  $("open-dialog").close();
  await change(
    (frame, query) => call("POST", `/sessions/${store.id}/import`, { body: body(file), query: { ...query, name: file.name } }),
    ({ objects }) => note(`${objects === 1 ? "1 object" : `${objects} objects`} of ${file.name} ${objects === 1 ? "is" : "are"} taken over.`),
    `reading ${file.name}`,
  );
}

async function setVocabulary(text) {
  if (!store.id) return;
  $("open-dialog").close();
  await change(
    (frame, query) => call("PUT", `/sessions/${store.id}/vocabulary`, { json: { text }, query }),
    () => note(text === null ? "The names are the model's again." : "The project has its own names."),
    "reading the vocabulary",
  );
}

// All projects as one OpenPVSG download, which `prepare` reads.
async function exportAll(leave_out, unfinished) {
  $("open-dialog").close();
  try {
    const { projects } = await call("GET", "/projects");
    const query = [...projects.map(({ id }) => ["sessions", id]), ["leave_out", leave_out], ["unfinished", unfinished]];
    const threshold = asked();
    if (threshold !== null) query.push(["threshold", threshold]);
    const found = await waiting("writing the data set", download("/export", query));
    const url = URL.createObjectURL(found.blob);
    element("a", { href: url, download: found.name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    const some = unfinished === "leave_out" ? ", but for those that are not tracked to the end" : "";
    note(`${found.name} is saved: ${projects.length} videos${some}.`);
  } catch (error) {
    complain(error);
  }
}

function onFile(id, act) {
  $(id).addEventListener("change", () => {
    const [file] = $(id).files;
    $(id).value = "";
    if (file) act(file);
  });
}

export function setUp() {
  onFile("import", (file) => take(file).catch(complain));
  onFile("vocabulary", async (file) => {
    const text = await file.text();
    if (text.includes("\uFFFD")) return complain(`${file.name}: the vocabulary is not UTF-8: save it so.`);
    return setVocabulary(text);
  });
  $("vocabulary-own").addEventListener("click", () => setVocabulary(null).then(refresh).catch(complain));
  $("export-all").addEventListener("click", () => exportAll($("leave-out").checked, $("unfinished").value));
}
