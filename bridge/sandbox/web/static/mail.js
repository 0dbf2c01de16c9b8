// Mailboxes, their folders, the mails of one, and one mail: three panes, of which a phone shows one at a time.

import { folderPath, get, mailPath, mailboxPath, part } from "./api.js";
import { bytes, el, fill, fillList, foreign, moment } from "./dom.js";
import { letter } from "./letter.js";

const PAGE = 50;
const MOST_ASKED = 20;
const WITH_MAIL = ["inbox", "deleteditems", "sentitems", "junkemail", "outbox", "drafts"];
const FIRST = ["inbox", "sentitems", "drafts", "outbox", "deleteditems", "junkemail"];

const keyOf = (folder) => folder.distinguished_name ?? folder.id;

export function mail(root) {
  const choice = el("select", { id: "mailbox", on: { change: () => { location.hash = `#/mail/${part(choice.value)}`; } } });
  const folderList = el("ul", { class: "folders" });
  const listHead = el("div");
  const mailList = el("ul", { class: "mails" });
  const listPane = el("section", { class: "pane list", "aria-label": "Mails" }, listHead, mailList);
  const mailPane = el("article", { class: "pane mail", "aria-label": "Mail" });
  root.append(
    el("nav", { class: "pane places", "aria-label": "Folders" },
      el("label", { for: "mailbox" }, "Mailbox"), choice, folderList),
    listPane, mailPane);

  let boxes = [], folders = [];
  let place = {}, turn = 0;

  async function show([address = "", folder = "", page = "1", item = ""]) {
    const mine = ++turn;
    if (!boxes.length || (address && !boxes.some((box) => box.address === address))) boxes = await get("/mailboxes");
    if (mine !== turn) return;
    if (!boxes.length) throw new Error("The sandbox has no mailbox.");
    const there = folder ? { address, folder } : await whereMailIs(address);
    if (mine !== turn) return;
    const before = place;
    place = {
      address: there.address, folder: there.folder, item,
      page: Math.max(1, Number.parseInt(page, 10) || 1),
    };
    root.dataset.depth = item ? "mail" : folder ? "list" : "places";
    fill(choice, boxes.map((box) =>
      el("option", { value: box.address, selected: box.address === place.address }, box.address)));
    if (before.address !== place.address) fill(folderList);
    const stale = ["address", "folder", "page"].some((key) => before[key] !== place[key]);
    if (!item) fill(mailPane, el("p", { class: "note" }, "No mail chosen."));
    await Promise.all([
      load(mine, stale),
      item && (before.item !== item || stale) && open(mine),
    ]);
  }

  // The bridge empties an inbox at once: where nobody says what to show, it is where there is something to see.
  async function whereMailIs(address) {
    const asked = address ? [address] : boxes.slice(0, MOST_ASKED).map((box) => box.address);
    const all = await Promise.all(asked.map((one) => get(`${mailboxPath(one)}/folders`)));
    for (const folder of WITH_MAIL) {
      const at = all.findIndex((found) => found.some((one) => one.distinguished_name === folder && one.count > 0));
      if (at >= 0) return { address: asked[at], folder };
    }
    return { address: asked[0], folder: "inbox" };
  }

  async function load(mine, fromTop) {
    const { address, folder, page } = place;
    const [found, list] = await Promise.all([
      get(`${mailboxPath(address)}/folders`),
      get(`${folderPath(address, folder)}/mails?newest_first=1&offset=${(page - 1) * PAGE}&limit=${PAGE}`),
    ]);
    if (mine !== turn) return;
    folders = found;
    showFolders();
    showList(list);
    if (fromTop) listPane.scrollTop = 0;
  }

  function showFolders() {
    const rank = (one) => (FIRST.includes(one.distinguished_name) ? FIRST.indexOf(one.distinguished_name) : FIRST.length);
    const sorted = folders.map((one, at) => [one, at]).sort(([a, i], [b, j]) => rank(a) - rank(b) || i - j);
    fillList(folderList, sorted.map(([one]) => {
      const key = keyOf(one);
      const current = key === place.folder || one.id === place.folder;
      const label = one.unread ? `${one.count} mails, ${one.unread} unread` : `${one.count} mails`;
      return el("li", {}, el("a", {
        href: `#/mail/${part(place.address)}/${part(key)}/1`, "aria-current": current ? "page" : undefined,
        class: one.count ? undefined : "empty", "data-key": `folder ${key}`, title: one.path,
      }, el("span", { class: "name" }, foreign(one.path.replace(/^Top of Information Store\//, ""), { otherwise: "Root" })),
      el("span", { class: one.unread ? "count unread" : "count", "aria-label": label },
        one.unread ? `${one.unread} / ${one.count}` : String(one.count))));
    }));
  }

  function showList({ total, mails }) {
    const base = `#/mail/${part(place.address)}/${part(place.folder)}`;
    const pages = Math.max(1, Math.ceil(total / PAGE));
    const here = folders.find((one) => keyOf(one) === place.folder || one.id === place.folder);
    const turnTo = (page, text, able) =>
      able ? el("a", { href: `${base}/${page}`, "data-key": text }, text) : el("span", { class: "off" }, text);
    const first = (place.page - 1) * PAGE + 1;
    fillList(listHead, [
      el("a", { class: "back", href: `#/mail/${part(place.address)}`, "data-key": "back" }, "‹ Folders"),
      el("h2", {}, foreign(here?.name ?? place.folder)),
      el("p", { class: "pager" },
        turnTo(1, "Newest", place.page > 1), turnTo(place.page - 1, "Newer", place.page > 1),
        el("span", { class: "range" }, mails.length
          ? `${first.toLocaleString("en")}–${(first + mails.length - 1).toLocaleString("en")} of ${total.toLocaleString("en")}`
          : `none of ${total.toLocaleString("en")}`),
        turnTo(place.page + 1, "Older", place.page < pages), turnTo(pages, "Oldest", place.page < pages)),
      total === 0 && el("p", { class: "note" }, "No mails in this folder."),
    ].filter(Boolean));
    fillList(mailList, mails.map((one) => el("li", {}, el("a", {
        href: `${base}/${place.page}/${part(one.item_id)}`, "data-key": one.item_id,
        "aria-current": one.item_id === place.item ? "true" : undefined, class: one.read ? "read" : "unread",
      },
      el("span", { class: "from" }, foreign(one.from, { otherwise: "(no sender)" })),
      moment(one.received_at),
      el("span", { class: "subject" }, foreign(one.subject, { otherwise: "(no subject)" })),
      el("span", { class: "marks" },
        !one.read && el("span", { class: "mark" }, "unread"),
        one.has_attachments && el("span", { class: "mark" }, "attachments"),
        one.item_class !== "IPM.Note" && el("span", { class: "mark" }, foreign(one.item_class)),
        el("span", {}, bytes(one.size)))))));
  }

  async function open(mine) {
    const { address, folder, page, item } = place;
    const path = mailPath(address, folder, item);
    fill(mailPane, el("p", { class: "note" }, "Loading the mail."));
    let found;
    try {
      found = await get(`${path}/view`);
    } catch (error) {
      if (mine === turn) fill(mailPane, el("p", { class: "note" }, error.message));
      return;
    }
    if (mine !== turn) return;
    fill(mailPane,
      el("a", { class: "back", href: `#/mail/${part(address)}/${part(folder)}/${page}` }, "‹ Mails"),
      letter(found, path, address, boxes.map((box) => box.address)));
    mailPane.scrollTop = 0;
  }

  return { follows: ["store"], show, refresh: () => load(turn, false) };
}
