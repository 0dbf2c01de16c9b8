// What EWS accepted for sending.

import { get } from "./api.js";
import { fill, foreign, moment, table } from "./dom.js";

const MOST = 200;
const FEW = 5;

function recipients(send) {
  const rest = send.recipients.length - FEW;
  return foreign(send.recipients.slice(0, FEW).join(", ") + (rest > 0 ? ` and ${rest} more` : ""));
}

const COLUMNS = [
  { name: "No.", number: true, cell: (send) => String(send.id) },
  { name: "At", cell: (send) => moment(send.at) },
  { name: "From", cell: (send) => foreign(send.from) },
  { name: "Recipients", cell: recipients },
  { name: "Mailbox", cell: (send) => foreign(send.mailbox) },
  { name: "Message-ID", cell: (send) => foreign(send.internet_message_id, { otherwise: "–" }) },
  { name: "Request id", cell: (send) => foreign(send.request_id, { otherwise: "–" }) },
];

export function sends(root) {
  async function refresh() {
    const { store } = await get("/state");
    const found = await get(`/sends?after=${Math.max(0, store.at(-1) - MOST)}&limit=${MOST}`);
    fill(root, table("Sends", COLUMNS, found.reverse(), { empty: "Nothing was sent yet." }));
  }
  return { follows: ["store"], show: refresh, refresh };
}
