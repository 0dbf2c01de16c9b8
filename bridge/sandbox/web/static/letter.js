// One mail. Its HTML is never part of this page: it is shown in a frame of no origin, without scripts, from an
// address whose policy lets it load nothing.

import { get, part } from "./api.js";
import { bytes, el, fill, foreign } from "./dom.js";

const SHOWN = ["From", "To", "Cc", "Bcc", "Reply-To", "Date"];

// `boxes` are the addresses of the sandbox's mailboxes, `owner` is the one that the mail lies in.
export function letter(mail, path, owner, boxes) {
  const value = (name) => mail.headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
  const body = el("div", { class: "body", id: "mail-body" });
  const forms = { Text: () => text(mail), HTML: () => frame(path), Headers: () => headers(mail), Source: () => source(path) };
  const buttons = Object.keys(forms)
    .filter((form) => form !== "HTML" || mail.has_html)
    .map((form) => el("button", { type: "button", "aria-pressed": "false", on: { click: () => choose(form) } }, form));

  async function choose(form) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.textContent === form));
    body.dataset.form = form;
    fill(body, el("p", { class: "note" }, "Loading."));
    const shown = await Promise.resolve(forms[form]()).catch((error) => el("p", { role: "alert" }, error.message));
    if (body.dataset.form === form) fill(body, shown);
  }

  choose(mail.text !== null || !mail.has_html ? "Text" : "HTML");
  return el("div", { class: "letter" },
    el("h2", {}, foreign(value("Subject"), { otherwise: "(no subject)" })),
    el("dl", { class: "people" }, SHOWN.filter((name) => value(name)).map((name) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, foreign(value(name)))))),
    mail.attachments.length > 0 && attachments(mail, path),
    el("div", { class: "bar" },
      el("div", { class: "forms", role: "group", "aria-label": "Show the mail as" }, buttons),
      el("div", { class: "tools" }, reply(mail, owner, boxes),
        el("a", { class: "button", href: `${path}/mime`, download: "mail.eml" }, `Download (${bytes(mail.size)})`))),
    body);
}

// An answer reaches a mailbox of the sandbox, or nobody: a mail that was sent from one is answered as its recipient
// would, one that came from one as its owner would. Others have no button.
function reply(mail, owner, boxes) {
  if (!mail.reply) return false;
  const known = (address) => boxes.find((box) => box.toLowerCase() === address.toLowerCase());
  const mine = mail.reply.from.toLowerCase() === owner.toLowerCase();
  const to = known(mail.reply.to) ?? known(mail.reply.from);
  const from = mine ? mail.reply.recipient : owner;
  if (!to || !from) return false;
  const fields = [to, from, mail.reply.subject, mail.reply.in_reply_to, mail.reply.references];
  return el("a", { class: "button", href: `#/compose/${fields.map(part).join("/")}` },
    mine ? "Reply as its recipient" : "Reply");
}

function text(mail) {
  if (mail.text === null) return el("p", { class: "note" }, "This mail has no text.");
  return [el("pre", { class: "text", tabindex: "0", dir: "auto" }, mail.text), mail.cut && cut()].filter(Boolean)
    .reduce((whole, piece) => { whole.append(piece); return whole; }, el("div"));
}

function frame(path) {
  return el("iframe", {
    sandbox: true, referrerpolicy: "no-referrer", title: "HTML of the mail", src: `${path}/html`, tabindex: "0",
  });
}

function headers(mail) {
  return el("dl", { class: "headers", tabindex: "0" }, mail.headers.map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, foreign(value, { otherwise: "(empty)" })))));
}

async function source(path) {
  const found = await get(`${path}/source`);
  return el("div", {}, el("pre", { class: "source", tabindex: "0", dir: "ltr" }, found.source), found.cut && cut());
}

function cut() {
  return el("p", { class: "note" }, "There is more of it: download the mail to see all.");
}

function attachments(mail, path) {
  return el("ul", { class: "attachments", "aria-label": "Attachments" },
    mail.attachments.map((one) => el("li", {},
      el("a", { href: `${path}/attachments/${one.number}`, download: true }, foreign(one.name, { otherwise: "(no name)" })),
      " ", el("span", { class: "aside" }, foreign(one.content_type), ` ${bytes(one.size)}${one.inline ? " inline" : ""}`))),
    mail.more_attachments > 0 && el("li", { class: "note" }, `and ${mail.more_attachments} more, in the download`));
}
