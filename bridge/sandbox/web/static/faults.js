// A switch for each kind of fault, and the rules in force with how often each fired.

import { get, part, send } from "./api.js";
import { el, fill, foreign, table } from "./dom.js";

const OWN = "page: ";

function read(text) {
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (text === "null") return null;
  if (text === "true" || text === "false") return text === "true";
  if (/^[[{]/.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }
  return text;
}

const written = (value) => (typeof value === "string" ? value : JSON.stringify(value));

export function faults(root) {
  const rules = el("div");
  const kinds = el("div", { class: "kinds" });
  const operations = el("datalist", { id: "operations" });
  root.append(rules, kinds, operations);
  const rows = new Map();

  async function show() {
    if (!rows.size) {
      const [found, called, boxes] = await Promise.all([get("/faults/kinds"), get("/calls"), get("/mailboxes")]);
      fill(operations, Object.keys(called).map((name) => el("option", { value: name })));
      for (const [when, group] of Map.groupBy(found, (kind) => kind.when)) {
        kinds.append(el("section", {}, el("h2", {}, `${when[0].toUpperCase()}${when.slice(1)}`), group.map((kind) => {
          const made = row(kind, boxes);
          rows.set(kind.kind, made);
          return made.element;
        })));
      }
    }
    await refresh({ first: true });
  }

  function row(kind, boxes) {
    const id = (name) => `fault-${kind.kind}-${name}`;
    const choice = (name, label, options) => {
      const input = el("select", { id: id(name) }, options);
      return { name, input, element: el("div", { class: "field" }, el("label", { for: id(name) }, label), input) };
    };
    const field = (name, label, attributes) => {
      const input = el("input", { id: id(name), type: "text", autocomplete: "off", spellcheck: "false", ...attributes });
      return { name, input, element: el("div", { class: "field" }, el("label", { for: id(name) }, label), input) };
    };
    const parameters = kind.parameters.map((one) => {
      const label = one.name.replaceAll("_", " ");
      if (one.choices.length) return choice(one.name, label, one.choices.map((name) => el("option", { value: name }, name)));
      return field(one.name, label, {
        value: one.default === null ? "" : written(one.default), required: one.required, title: one.wanted,
        placeholder: one.required ? one.wanted : "",
      });
    });
    // A connection is made before anybody says what for: of it only the server is known.
    const connects = kind.stage === "connection";
    const any = el("option", { value: "" }, "any");
    const service = choice("service", "server", [any, ...["ews", "entra"].map((name) => el("option", { value: name }, name))]);
    const operation = field("operation", "operation", { list: "operations", placeholder: "any" });
    const mailbox = choice("mailbox", "mailbox", [any.cloneNode(true),
      ...boxes.map((box) => el("option", { value: box.address }, box.address))]);
    const chance = field("probability", "chance (0 to 1)", { value: "1", inputmode: "decimal" });
    const times = field("times", "times at most", { placeholder: "no limit", inputmode: "numeric" });
    const toggle = el("button", {
      type: "button", role: "switch", "aria-checked": "false", "aria-labelledby": id("name"),
      "aria-describedby": id("meaning"),
    });
    const fired = el("span", { class: "fired" });
    const trouble = el("p", { role: "alert", class: "trouble" });
    const on = () => toggle.getAttribute("aria-checked") === "true";

    function rule() {
      const match = {};
      if (service.input.value) match.service = service.input.value;
      if (operation.input.value.trim()) match.operation = operation.input.value.split(",").map((one) => one.trim()).filter(Boolean);
      if (mailbox.input.value) match.mailbox = mailbox.input.value;
      if (chance.input.value.trim() && chance.input.value.trim() !== "1") match.probability = read(chance.input.value.trim());
      const given = Object.fromEntries(parameters.map((one) => [one.name, one.input.value.trim()])
        .filter(([, text]) => text !== "").map(([name, text]) => [name, read(text)]));
      const whole = { name: OWN + kind.kind, match, fault: { kind: kind.kind, ...given } };
      if (times.input.value.trim()) whole.times = read(times.input.value.trim());
      return whole;
    }

    // Shows the settings of the rule that is in force, for a page that was opened anew.
    function take({ match = {}, fault, times: most }) {
      for (const { name, input } of parameters) if (fault[name] !== undefined) input.value = written(fault[name]);
      operation.input.value = [match.operation ?? []].flat().join(", ");
      service.input.value = match.service ?? "";
      mailbox.input.value = match.mailbox ?? "";
      chance.input.value = match.probability ?? "1";
      times.input.value = most ?? "";
    }

    async function change(wanted) {
      trouble.textContent = "";
      try {
        if (wanted) await send("POST", "/faults", rule());
        else if (on()) await drop(OWN + kind.kind);
      } catch (error) {
        trouble.textContent = error.message;
      }
      await refresh();
    }

    toggle.addEventListener("click", () => change(!on()));
    // What is changed while the switch is on holds at once; counts begin anew.
    const form = el("form", { class: "fields", on: {
      submit: (event) => { event.preventDefault(); change(true); },
      change: () => { if (on()) change(true); },
    } }, parameters.map((one) => one.element), connects ? service.element : [operation.element, mailbox.element],
    chance.element, times.element,
    el("button", { type: "submit", class: "enter" }, "Switch on"));
    const element = el("div", { class: "kind", id: id("row") }, toggle,
      el("h3", { id: id("name") }, kind.kind.replaceAll("_", " ")), fired,
      el("p", { id: id("meaning") }, kind.meaning), el("details", {}, el("summary", {}, "Settings"), form), trouble);
    if (parameters.some((one) => one.input.required)) element.querySelector("details").open = true;

    return {
      element,
      update(all, first) {
        const mine = all.filter((one) => (one.fault.kind ?? one.fault) === kind.kind);
        const own = mine.find((one) => one.name === OWN + kind.kind);
        if (first && own) take(own);
        const count = mine.reduce((sum, one) => sum + one.fired, 0);
        toggle.setAttribute("aria-checked", String(own !== undefined));
        fired.textContent = mine.length ? `fired ${count.toLocaleString("en")}` : "";
      },
    };
  }

  async function drop(name) {
    try {
      await send("DELETE", `/faults?name=${part(name)}`);
    } catch (error) {
      if (error.status !== 404) throw error; // somebody else was faster
    }
  }

  async function refresh({ first = false } = {}) {
    const found = await get("/faults");
    for (const one of rows.values()) one.update(found, first);
    fill(rules, table("Rules in force", [
      { name: "Name", cell: (rule) => foreign(rule.name, { otherwise: "(no name)" }) },
      { name: "Fault", cell: (rule) => foreign(described(rule.fault)) },
      { name: "Strikes", cell: (rule) => foreign(Object.entries(rule.match ?? {}).map(([key, value]) => `${key} ${written(value)}`).join(", "), { otherwise: "every call" }) },
      { name: "Seen", number: true, cell: (rule) => rule.seen.toLocaleString("en") },
      { name: "Fired", number: true, cell: (rule) => rule.fired.toLocaleString("en") + (rule.times ? ` of ${rule.times}` : "") },
      { name: "", cell: (rule) => (rule.name ? el("button", { type: "button", "data-key": `off ${rule.name}`,
        "aria-label": `Remove ${rule.name}`, on: { click: () => drop(rule.name).then(refresh) } }, "Remove") : "") },
    ], found, { empty: "None: everything goes as it should." }),
    found.length > 0 && el("p", {}, el("button", { type: "button", "data-key": "all off",
      on: { click: () => send("DELETE", "/faults").then(refresh) } }, "Remove all")));
  }

  return { follows: ["faults"], show, refresh };
}

function described(fault) {
  if (typeof fault === "string") return fault;
  const { kind, ...rest } = fault;
  const values = Object.entries(rest).map(([key, value]) => `${key} ${written(value)}`).join(", ");
  return values ? `${kind}: ${values}` : kind;
}
