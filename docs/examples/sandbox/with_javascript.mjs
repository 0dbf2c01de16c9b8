// Lists the inbox of a sandbox with the npm port of Microsoft's EWS Managed API (npm install ews-javascript-api):
// NODE_EXTRA_CA_CERTS=/tmp/sandbox/certificates/ca.pem node with_javascript.mjs /tmp/sandbox dispatch@example.org
import { readFileSync } from "node:fs";
import ews from "ews-javascript-api";

const [directory, address] = process.argv.slice(2);
const info = JSON.parse(readFileSync(`${directory}/sandbox.json`, "utf8"));

const form = new URLSearchParams({
  grant_type: "client_credentials",
  client_id: info.client_id,
  client_secret: info.client_secret,
  scope: "https://outlook.office365.com/.default",
});
const answer = await fetch(`${info.authority_url}/oauth2/v2.0/token`, { method: "POST", body: form });
const { access_token: token } = await answer.json();

const service = new ews.ExchangeService(ews.ExchangeVersion.Exchange2013_SP1);
service.Url = new ews.Uri(info.ews_url);
service.Credentials = new ews.OAuthCredentials(token);
service.ImpersonatedUserId = new ews.ImpersonatedUserId(ews.ConnectingIdType.SmtpAddress, address);
service.HttpHeaders.Add("X-AnchorMailbox", address);

const found = await service.FindItems(ews.WellKnownFolderName.Inbox, new ews.ItemView(10));
for (const mail of found.Items) console.log(mail.Subject);
