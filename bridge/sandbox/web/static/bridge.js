// Where to look for what the bridge makes of these mails: the sandbox is Exchange alone, and knows nothing of it.

import { el } from "./dom.js";

const COMMANDS = [
  ["Mails as JSON, out of a queue of your own. For whole payloads, print the variable body in it:",
    "python docs/examples/consume.py"],
  ["Events, as they come: what became of a request, and which mails were parked:",
    "BRIDGE_RABBITMQ__URLS=$AMQP_URL bridge tail"],
  ["A request to send a mail, and a wait for its outcome:",
    "BRIDGE_RABBITMQ__URLS=$AMQP_URL bridge send dispatch --to crew@example.net --subject Test --text Test --wait"],
  ["What waits in each queue, and who reads it:", "bridge topology show --json"],
  ["What is wrong, and what to do:", "bridge check"],
];

export function bridge(root) {
  root.append(
    el("h2", {}, "What the bridge makes of it"),
    el("p", {}, "This page shows Exchange: mailboxes, and what was sent from them. Queues, JSON and events are on RabbitMQ, "
      + "which the sandbox does not know. If bridge demo --keep runs it, paste the export lines that it printed into "
      + "another shell, in the checkout of the bridge, and use these commands; docs/sandbox.md has the same for a sandbox "
      + "that you started yourself."),
    ...COMMANDS.flatMap(([what, command]) => [el("p", {}, what), el("pre", { tabindex: "0" }, command)]),
    el("p", {}, "A mail that is gone from Inbox was published: it is in Deleted Items. A request is among the ",
      el("a", { href: "#/sends" }, "sends"), ", with its request id, once Exchange accepted it; its copy is in Sent Items. ",
      "Open that copy and press Reply: the answer of its recipient goes to the mailbox, and the bridge names the request "
      + "in the field answers."));
  return { follows: [], show: () => {}, refresh: () => {} };
}
