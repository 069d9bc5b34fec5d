// Access to the document: making, finding and updating elements.

export const $ = (id) => document.getElementById(id);

const LISTENERS = ["onclick", "ondblclick", "onkeydown", "onpointerdown"];

// Make an HTML element. Attributes in LISTENERS are functions, "style" is an object, children may
// be strings.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  fill(made, attributes, children);
  return made;
}

export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(made, attributes, children);
  return made;
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (LISTENERS.includes(name)) made[name] = value;
    else if (name === "style") Object.assign(made.style, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
}

export const icon = (name) => drawn("svg", { "aria-hidden": "true" }, drawn("use", { href: `#i-${name}` }));

// Update the children of a parent to match these, in place: a pressed or focused element stays
// the same element, so that no click or focus is lost when the page updates. Elements with a
// data-key are matched by it, the others by their order.
export function replace(parent, children) {
  const key = parent.contains(document.activeElement) && document.activeElement.dataset.key;
  become(parent, children);
  if (key && document.activeElement.dataset.key !== key) parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

function become(parent, children) {
  const old = [...parent.childNodes];
  const keyed = new Map(old.filter((child) => child.dataset?.key).map((child) => [child.dataset.key, child]));
  const others = old.filter((child) => !child.dataset?.key);
  const next = [...children].map((made) => {
    const was = made.dataset?.key ? keyed.get(made.dataset.key) : others.shift();
    return was?.nodeName === made.nodeName ? updated(was, made) : made;
  });
  const kept = new Set(next);
  for (const child of old) if (!kept.has(child)) child.remove();
  next.forEach((child, place) => {
    if (parent.childNodes[place] !== child) parent.insertBefore(child, parent.childNodes[place] ?? null);
  });
}

function updated(was, made) {
  if (was.nodeType !== Node.ELEMENT_NODE) {
    if (was.data !== made.data) was.data = made.data;
    return was;
  }
  for (const { name } of [...was.attributes]) if (!made.hasAttribute(name)) was.removeAttribute(name);
  for (const { name, value } of made.attributes) if (was.getAttribute(name) !== value && name !== "style") was.setAttribute(name, value);
  // Not by setAttribute: the content security policy forbids style attributes.
  if (was.style.cssText !== made.style.cssText) was.style.cssText = made.style.cssText;
  for (const name of LISTENERS) was[name] = made[name];
  become(was, made.childNodes);
  return was;
}
