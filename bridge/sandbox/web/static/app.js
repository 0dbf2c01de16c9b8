// Shows the view that the address names, and tells it when something that it follows has changed.

import { get } from "./api.js";
import { bridge } from "./bridge.js";
import { calls } from "./calls.js";
import { compose } from "./compose.js";
import { el, fill } from "./dom.js";
import { faults } from "./faults.js";
import { mail } from "./mail.js";
import { sends } from "./sends.js";
import { tokens } from "./tokens.js";

const VIEWS = { mail, compose, sends, calls, faults, tokens, bridge };
const EVERY_MILLISECONDS = 1000;

const main = document.getElementById("main");
const live = document.getElementById("live");
let shown = { name: "", view: undefined };
let known = {};
let timer;

function asked() {
  try {
    return location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  } catch {
    return ["mail"];
  }
}

async function route() {
  const [first, ...rest] = asked();
  const name = Object.hasOwn(VIEWS, first) ? first : "mail";
  if (name !== shown.name) {
    const root = el("div", { class: `view ${name}` });
    shown = { name, view: VIEWS[name](root) };
    main.replaceChildren(root);
    for (const link of document.querySelectorAll("#views a")) {
      if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${name[0].toUpperCase()}${name.slice(1)} – Sandbox`;
    scrollTo(0, 0);
  }
  await guarded(() => shown.view.show(rest));
}

// A failure is said in the page; the view stays as it was.
async function guarded(work) {
  try {
    await work();
    document.getElementById("trouble")?.remove();
  } catch (error) {
    const trouble = document.getElementById("trouble") ?? el("p", { id: "trouble", role: "alert" });
    fill(trouble, error.message);
    main.prepend(trouble);
  }
}

async function look() {
  clearTimeout(timer);
  try {
    if (!document.hidden) {
      const state = await get("/state");
      const first = Object.keys(known).length === 0;
      const changed = Object.keys(state).filter((key) => JSON.stringify(state[key]) !== JSON.stringify(known[key]));
      known = state;
      tell("live", "live");
      const { view } = shown;
      if (!first && view && (view.always || changed.some((key) => view.follows.includes(key)))) {
        await guarded(() => view.refresh());
      }
    }
  } catch {
    tell("not answering", "away");
  }
  timer = setTimeout(look, EVERY_MILLISECONDS);
}

function tell(text, state) {
  if (live.textContent !== text) live.textContent = text;
  live.dataset.state = state;
}

document.getElementById("skip").addEventListener("click", () => main.focus());
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
addEventListener("hashchange", route);
await route();
await look();
