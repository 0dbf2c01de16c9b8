// Asks the admin server. Whatever goes wrong becomes an Error whose message can be shown.

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...options });
  } catch {
    throw new Error("The sandbox does not answer.");
  }
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  const known = Array.isArray(content.known) && content.known.length ? ` Known: ${content.known.join(", ")}.` : "";
  throw Object.assign(new Error(`${content.error ?? `HTTP ${answer.status}`}.${known}`), { status: answer.status });
}

export const get = (path) => ask(path, {});
export const send = (method, path, body) =>
  ask(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
export const sendMail = (path, content) =>
  ask(path, { method: "POST", headers: { "Content-Type": "message/rfc822" }, body: content });

export const part = encodeURIComponent;
export const mailboxPath = (address) => `/mailboxes/${part(address)}`;
export const folderPath = (address, folder) => `${mailboxPath(address)}/folders/${part(folder)}`;
export const mailPath = (address, folder, item) => `${folderPath(address, folder)}/mails/${part(item)}`;
