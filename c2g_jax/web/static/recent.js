// The list of sessions that this browser opened, in its local storage.

const KEY = "c2g-recent";
const MOST = 8;

export function recent() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

export function remember({ id, video }) {
  const rest = recent().filter((entry) => entry.id !== id);
  write([{ id, name: video.name, when: Date.now() }, ...rest].slice(0, MOST));
}

export function forgetRecent(id) {
  write(recent().filter((entry) => entry.id !== id));
}

function write(entries) {
  try {
    localStorage.setItem(KEY, JSON.stringify(entries));
  } catch {
    // Storage is off or full: the address still has this session.
  }
}
