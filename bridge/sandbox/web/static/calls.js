// What was called: by operation, and the last calls with how long each took.

import { get } from "./api.js";
import { el, fill, foreign, milliseconds, moment, table } from "./dom.js";

const MOST = 200;

const outcome = (failed) => el("span", { class: failed ? "bad" : "good" }, failed ? "failed" : "ok");
const number = (name, cell) => ({ name, number: true, cell });

const OPERATIONS = [
  { name: "Operation", cell: (row) => foreign(row.operation) },
  number("Calls", (row) => row.count.toLocaleString("en")),
  number("Failed", (row) => (row.errors ? el("span", { class: "bad" }, row.errors.toLocaleString("en")) : "0")),
  number("Now", (row) => String(row.in_flight)),
  number("At once", (row) => String(row.peak_in_flight)),
  number("Median ms", (row) => row.median),
  number("Slowest ms", (row) => row.slowest),
];
const RECENT = [
  { name: "Began", cell: (call) => moment(call.at) },
  { name: "Operation", cell: (call) => foreign(call.operation) },
  { name: "Mailbox", cell: (call) => foreign(call.mailbox, { otherwise: "–" }) },
  number("ms", (call) => milliseconds(call.seconds)),
  { name: "Outcome", cell: (call) => outcome(call.failed) },
];

export function calls(root) {
  async function refresh() {
    const [figures, recent] = await Promise.all([get("/calls"), get(`/calls/recent?limit=${MOST}`)]);
    const times = Map.groupBy(recent, (call) => call.operation);
    const rows = Object.entries(figures).map(([operation, figure]) => {
      const sorted = (times.get(operation) ?? []).map((call) => call.seconds).sort((a, b) => a - b);
      const shown = (at) => (sorted.length ? milliseconds(sorted[at]) : "–");
      return { operation, ...figure, median: shown(Math.floor((sorted.length - 1) / 2)), slowest: shown(sorted.length - 1) };
    });
    fill(root,
      table("Operations", OPERATIONS, rows, { empty: "Nothing was called since the sandbox started." }),
      table("Last calls", RECENT, recent, { empty: "No call has ended yet." }),
      el("p", { class: "note" }, `Times are of the last ${MOST} calls, measured in the sandbox.`));
  }
  return { follows: ["calls"], show: refresh, refresh };
}
