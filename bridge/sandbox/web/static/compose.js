// Delivers a mail to a mailbox: one written here, or one that exists, byte for byte.

import { get, mailboxPath, part, send, sendMail } from "./api.js";
import { el, fill, foreign } from "./dom.js";

export function compose(root) {
  const to = el("select", { id: "to", required: true });
  const from = el("input", { id: "from", type: "text", required: true, value: "Ada Example <ada@elsewhere.example>", autocomplete: "off" });
  const subject = el("input", { id: "subject", type: "text", autocomplete: "off" });
  const text = el("textarea", { id: "text", rows: "8" });
  const html = el("textarea", { id: "html", rows: "4", spellcheck: "false" });
  const raw = el("textarea", { id: "raw", rows: "8", spellcheck: "false", placeholder: "From: …" });
  const file = el("input", { id: "file", type: "file", accept: ".eml,message/rfc822" });
  const answered = el("p", { class: "note", id: "answered" });
  let thread = {};
  const said = el("p", { role: "status", id: "said" });
  const field = (label, input) => el("div", { class: "field" }, el("label", { for: input.id }, label), input);

  const form = (title, deliver, ...content) => {
    const button = el("button", { type: "submit" }, "Deliver");
    return el("form", { "aria-label": title, on: { submit: async (event) => {
      event.preventDefault();
      button.disabled = true;
      try {
        const { item_id: item } = await deliver(mailboxPath(to.value) + "/mails");
        fill(said, "Delivered: ", el("a", { href: `#/mail/${part(to.value)}/inbox/1/${part(item)}` }, "show the mail"));
        said.dataset.state = "good";
      } catch (error) {
        fill(said, error.message);
        said.dataset.state = "bad";
      } finally {
        button.disabled = false;
        said.scrollIntoView({ block: "nearest" });
      }
    } } }, el("h2", {}, title), content, el("p", {}, button));
  };

  root.append(
    el("div", { class: "field to" }, el("label", { for: "to" }, "Mailbox"), to), said,
    el("div", { class: "two" },
      form("Write a mail", (path) => send("POST", path, {
        from: from.value, subject: subject.value, text: text.value, html: html.value, ...thread,
      }), answered, field("From", from), field("Subject", subject), field("Text", text), field("HTML, if any", html)),
      form("Deliver one as it is", async (path) => {
        const [chosen] = file.files;
        if (!chosen && !raw.value) throw new Error("There is no file and no source.");
        // A text field ends its lines with LF alone, a mail does not; a file goes as it is.
        return sendMail(path, chosen ?? raw.value.replaceAll(/\r?\n/g, "\r\n"));
      }, field("File", file), field("or its source", raw))));

  async function show([box = "", author = "", about = "", inReplyTo = "", references = ""] = []) {
    const boxes = await get("/mailboxes");
    const chosen = box || to.value;
    fill(to, boxes.map((one) => el("option", { value: one.address, selected: one.address === chosen }, one.address)));
    if (author) from.value = author;
    if (box) subject.value = about;
    thread = inReplyTo ? { in_reply_to: inReplyTo, references } : {};
    fill(answered, inReplyTo ? ["In reply to ", foreign(inReplyTo)] : []);
    if (inReplyTo) text.focus();
  }
  return { follows: [], show, refresh: () => {} };
}
