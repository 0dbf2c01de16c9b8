// Which access tokens Entra issued. The tokens themselves are nowhere to be seen.

import { get, send } from "./api.js";
import { el, fill, foreign, moment, table } from "./dom.js";

const COLUMNS = [
  { name: "No.", number: true, cell: (token) => String(token.number) },
  { name: "Issued", cell: (token) => moment(token.at) },
  { name: "Until", cell: (token) => moment(token.expires_at) },
  { name: "State", cell: (token) => el("span", { class: token.state === "valid" ? "good" : "bad" }, token.state) },
  { name: "App", cell: (token) => [foreign(token.app), el("div", { class: "aside" }, token.client_id)] },
  { name: "For", cell: (token) => token.audience },
  { name: "Roles", cell: (token) => token.roles.join(", ") || "none" },
  { name: "By", cell: (token) => token.proof },
];

export function tokens(root) {
  const list = el("div");
  const said = el("p", { role: "status", class: "note" });
  const revoke = el("button", { type: "button", on: { click: expire } }, "Refuse all tokens issued so far");
  root.append(list, el("p", {}, revoke), said);

  async function expire() {
    try {
      await send("POST", "/expire", { what: "tokens" });
      said.textContent = "Tokens issued so far are refused from now on.";
      await refresh();
    } catch (error) {
      said.textContent = error.message;
    }
  }

  async function refresh() {
    fill(list, table("Tokens", COLUMNS, await get("/tokens"), { empty: "No token was issued since the sandbox started." }));
  }
  // Tokens expire without anything happening, so this view is looked at each time.
  return { follows: ["tokens"], always: true, show: refresh, refresh };
}
