// Makes elements. Whatever comes from a mail gets here as a text and becomes a text node or an attribute's value.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return made;
}

// Puts new children in the place of the old, and leaves the keyboard's focus where it was: on what has the same key.
export function fill(parent, ...children) {
  const focused = document.activeElement;
  const key = parent.contains(focused) && focused !== parent ? focused.dataset.key : undefined;
  parent.replaceChildren(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  if (key !== undefined) {
    for (const candidate of parent.querySelectorAll("[data-key]")) {
      if (candidate.dataset.key === key) candidate.focus({ preventScroll: true });
    }
  }
}

// The same for the entries of a list, of which those that look the same stay: one that is just being clicked is there
// when the click ends.
export function fillList(list, entries) {
  const old = new Map([...list.children].map((entry) => [entry.outerHTML, entry]));
  fill(list, entries.map((entry) => old.get(entry.outerHTML) ?? entry));
}

// A text of somebody else's, kept from turning its surroundings around; marks that would do so are made visible.
const TURNING = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

export function foreign(text, { otherwise = "" } = {}) {
  const shown = String(text ?? "").replace(TURNING, "\ufffd");
  return shown.trim() === "" ? el("span", { class: "none" }, otherwise) : el("bdi", {}, shown);
}

export function moment(iso) {
  const at = new Date(iso);
  const two = (number) => String(number).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return el("time", { datetime: iso, title: iso }, `${day} ${time}`);
}

export function bytes(size) {
  if (size < 1000) return `${size} B`;
  const unit = size < 1e6 ? [1e3, "kB"] : [1e6, "MB"];
  return `${(size / unit[0]).toFixed(size / unit[0] < 10 ? 1 : 0)} ${unit[1]}`;
}

export function milliseconds(seconds) {
  const value = seconds * 1000;
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}

// A table whose rows become cards where there is no room: each cell knows the name of its column.
export function table(caption, columns, rows, { empty = "Nothing yet." } = {}) {
  if (rows.length === 0) return el("section", {}, el("h2", {}, caption), el("p", { class: "note" }, empty));
  const numeric = (column) => (column.number ? "number" : undefined);
  const heads = columns.map((column) => el("th", { scope: "col", class: numeric(column) }, column.name));
  const body = rows.map((row) =>
    el("tr", {}, columns.map((column) => {
      const attributes = { class: numeric(column), "data-label": column.name };
      return el("td", attributes, el("span", { class: "cell" }, column.cell(row)));
    })));
  const name = `table-${caption.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  const whole = el("table", { "aria-labelledby": name }, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, body));
  return el("section", {}, el("h2", { id: name }, caption), el("div", { class: "wide" }, whole));
}
