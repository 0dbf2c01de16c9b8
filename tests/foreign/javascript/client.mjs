// Drives the npm port of Microsoft's EWS Managed API against a sandbox, over HTTPS, as an application with a token.
// Reads sandbox.json (first argument) and prints a line of JSON for each check: its name, and what went wrong if it did.

import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import ews from "ews-javascript-api";

const {
  BasePropertySet, BodyType, ConflictResolutionMode, ConnectingIdType, DefaultExtendedPropertySet,
  DeleteMode, EmailAddress, EmailMessage, ExchangeService, ExchangeVersion, ExtendedPropertyDefinition, FileAttachment, Folder,
  FolderId, FolderSchema, FolderTraversal, FolderView, ImpersonatedUserId, Importance, ItemId, ItemSchema, ItemView,
  LogicalOperator, MapiPropertyType, MessageBody, MessageDisposition, MimeContent, EmailMessageSchema, OAuthCredentials,
  OffsetBasePoint, PropertySet, SearchFilter, ServiceError, SortDirection, Uri, WellKnownFolderName, AlternateId, IdFormat,
  ChangeType, EventType, Flag, ItemAttachment, ItemFlagStatus, StreamingSubscriptionConnection, SyncFolderItemsScope, WebCredentials,
  AggregateType, ConversationIndexedItemView, ConversationSortOrder, Grouping,
} = ews;

const info = JSON.parse(readFileSync(process.argv[2], "utf8"));
const address = info.mailboxes[0].address;
const other = info.mailboxes[1].address;

async function token() {
  const form = new URLSearchParams({
    grant_type: "client_credentials", client_id: info.client_id, client_secret: info.client_secret,
    scope: "https://outlook.office365.com/.default",
  });
  const answer = await fetch(`${info.authority_url}/oauth2/v2.0/token`, { method: "POST", body: form });
  return (await answer.json()).access_token;
}

const service = new ExchangeService(ExchangeVersion.Exchange2016);
service.Url = new Uri(info.ews_url);
service.Credentials = new OAuthCredentials(await token());
service.ImpersonatedUserId = new ImpersonatedUserId(ConnectingIdType.SmtpAddress, address);
service.HttpHeaders.Add("X-AnchorMailbox", address);

const checks = [];
const check = (name, run) => checks.push([name, run]);
const wellKnown = (name) => new FolderId(WellKnownFolderName[name]);
const everything = () => new PropertySet(BasePropertySet.FirstClassProperties);

async function draft(subject, text = "Good morning.") {
  const message = new EmailMessage(service);
  message.Subject = subject;
  message.Body = new MessageBody(BodyType.Text, text);
  message.ToRecipients.Add(other);
  await message.Save(WellKnownFolderName.Drafts);
  return message;
}

async function found(folder, filter, view = new ItemView(100)) {
  return filter ? service.FindItems(wellKnown(folder), filter, view) : service.FindItems(wellKnown(folder), view);
}

async function until(condition, what) {
  const end = Date.now() + 20000;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function refused(promise, code) {
  const error = await promise.then(() => null, (reason) => reason);
  assert.ok(error, "nothing was refused");
  const given = error.ErrorCode ?? error.Response?.ErrorCode ?? error.ServiceResponse?.ErrorCode;
  assert.equal(ServiceError[given], code, String(error.Message ?? error.message));
}

check("binds to the Inbox with all its properties", async () => {
  const inbox = await Folder.Bind(service, WellKnownFolderName.Inbox);
  assert.equal(inbox.DisplayName, "Inbox");
  assert.equal(inbox.UnreadCount, 0);
  assert.ok(inbox.Id.UniqueId.length > 100);
});

check("lists the folders below the root, page by page", async () => {
  const view = new FolderView(5);
  view.Traversal = FolderTraversal.Deep;
  const names = [];
  for (;;) {
    const page = await service.FindFolders(wellKnown("MsgFolderRoot"), view);
    names.push(...page.Folders.map((folder) => folder.DisplayName));
    if (!page.MoreAvailable) break;
    // The port forgets to say where the next page of folders begins.
    view.Offset += page.Folders.length;
  }
  for (const name of ["Inbox", "Drafts", "Sent Items", "Deleted Items"]) assert.ok(names.includes(name), name);
  assert.equal(new Set(names).size, names.length);
});

check("makes a folder, renames it and deletes it", async () => {
  const folder = new Folder(service);
  folder.DisplayName = "Orders";
  await folder.Save(WellKnownFolderName.Inbox);
  folder.DisplayName = "Jobs";
  await folder.Update();
  const again = await Folder.Bind(service, folder.Id);
  assert.equal(again.DisplayName, "Jobs");
  await again.Delete(DeleteMode.HardDelete);
  await refused(Folder.Bind(service, folder.Id), "ErrorItemNotFound");
});

check("is refused a second folder of the same name", async () => {
  const first = new Folder(service);
  first.DisplayName = "Twice";
  await first.Save(WellKnownFolderName.Inbox);
  const second = new Folder(service);
  second.DisplayName = "Twice";
  await refused(second.Save(WellKnownFolderName.Inbox), "ErrorFolderExists");
  await first.Delete(DeleteMode.HardDelete);
});

check("saves a draft and reads it back", async () => {
  const saved = await draft("A draft");
  const message = await EmailMessage.Bind(service, saved.Id, everything());
  assert.equal(message.Subject, "A draft");
  assert.equal(message.IsDraft, true);
  assert.equal(message.ToRecipients.Items[0].Address, other);
  assert.match(message.Body.Text, /Good morning/);
});

check("reads a body as text", async () => {
  const saved = await draft("As text", "Line one");
  const wanted = everything();
  wanted.RequestedBodyType = BodyType.Text;
  const message = await EmailMessage.Bind(service, saved.Id, wanted);
  assert.equal(message.Body.BodyType, BodyType.Text);
  assert.equal(message.Body.Text.trim(), "Line one");
});

check("reads and writes MIME", async () => {
  const message = new EmailMessage(service);
  const mime = "From: anna@example.net\r\nTo: dispatch@example.org\r\nSubject: From MIME\r\n\r\nHello.\r\n";
  message.MimeContent = new MimeContent("UTF-8", Buffer.from(mime).toString("base64"));
  await message.Save(WellKnownFolderName.Drafts);
  const read = await EmailMessage.Bind(service, message.Id, new PropertySet(BasePropertySet.IdOnly, [ItemSchema.MimeContent, ItemSchema.Subject]));
  assert.equal(read.Subject, "From MIME");
  assert.equal(Buffer.from(read.MimeContent.Content, "base64").toString(), mime);
});

check("changes subject, importance and categories of a draft", async () => {
  const message = await draft("Before");
  message.Subject = "After";
  message.Importance = Importance.High;
  message.Categories.Add("Zone 4");
  await message.Update(ConflictResolutionMode.AutoResolve);
  const again = await EmailMessage.Bind(service, message.Id, everything());
  assert.equal(again.Subject, "After");
  assert.equal(again.Importance, Importance.High);
  assert.equal(again.Categories._getItem ? again.Categories._getItem(0) : again.Categories.GetEnumerator()[0], "Zone 4");
});

check("is refused a change with a stale change key", async () => {
  const message = await draft("Stale");
  const stale = await EmailMessage.Bind(service, message.Id, everything());
  message.Subject = "Newer";
  await message.Update(ConflictResolutionMode.AlwaysOverwrite);
  stale.Subject = "Older";
  await refused(stale.Update(ConflictResolutionMode.NeverOverwrite), "ErrorIrresolvableConflict");
});

check("sets and reads an extended property, and finds by it", async () => {
  const property = new ExtendedPropertyDefinition(DefaultExtendedPropertySet.PublicStrings, "OrderNumber", MapiPropertyType.String);
  const message = new EmailMessage(service);
  message.Subject = "With a property";
  message.SetExtendedProperty(property, "4711");
  await message.Save(WellKnownFolderName.Drafts);
  const results = await found("Drafts", new SearchFilter.IsEqualTo(property, "4711"));
  assert.equal(results.TotalCount, 1);
  const read = await EmailMessage.Bind(service, message.Id, new PropertySet(BasePropertySet.IdOnly, [property]));
  assert.equal(read.ExtendedProperties.Items[0].Value, "4711");
});

check("finds by subject, with an and, sorted, in pages", async () => {
  for (const number of [3, 1, 2]) await draft(`Sorted ${number}`);
  const filter = new SearchFilter.SearchFilterCollection(LogicalOperator.And, [
    new SearchFilter.ContainsSubstring(ItemSchema.Subject, "Sorted"),
    new SearchFilter.Not(new SearchFilter.IsEqualTo(ItemSchema.Subject, "Sorted 2")),
  ]);
  const view = new ItemView(1, 0, OffsetBasePoint.Beginning);
  view.OrderBy.Add(ItemSchema.Subject, SortDirection.Descending);
  const first = await found("Drafts", filter, view);
  assert.equal(first.TotalCount, 2);
  assert.equal(first.MoreAvailable, true);
  assert.equal(first.Items[0].Subject, "Sorted 3");
  view.Offset = first.NextPageOffset;
  const second = await found("Drafts", filter, view);
  assert.equal(second.Items[0].Subject, "Sorted 1");
  assert.equal(second.MoreAvailable, false);
});

check("adds a file attachment and downloads it", async () => {
  const message = new EmailMessage(service);
  message.Subject = "With a file";
  message.Attachments.AddFileAttachment("order.txt", Buffer.from("4 patients").toString("base64"));
  await message.Save(WellKnownFolderName.Drafts);
  const read = await EmailMessage.Bind(service, message.Id, new PropertySet(BasePropertySet.IdOnly, [ItemSchema.Attachments, ItemSchema.HasAttachments]));
  assert.equal(read.HasAttachments, true);
  const attachment = read.Attachments.Items[0];
  assert.ok(attachment instanceof FileAttachment);
  await attachment.Load();
  assert.equal(Buffer.from(attachment.Base64Content, "base64").toString(), "4 patients");
});

check("removes an attachment", async () => {
  const message = new EmailMessage(service);
  message.Subject = "Without a file";
  message.Attachments.AddFileAttachment("one.txt", Buffer.from("1").toString("base64"));
  await message.Save(WellKnownFolderName.Drafts);
  const read = await EmailMessage.Bind(service, message.Id, new PropertySet(BasePropertySet.IdOnly, [ItemSchema.Attachments]));
  read.Attachments.RemoveAt(0);
  await read.Update(ConflictResolutionMode.AlwaysOverwrite);
  const again = await EmailMessage.Bind(service, message.Id, new PropertySet(BasePropertySet.IdOnly, [ItemSchema.Attachments]));
  assert.equal(again.Attachments.Count, 0);
});

check("sends a mail, which arrives and is kept in Sent Items", async () => {
  const message = new EmailMessage(service);
  message.Subject = "Sent at once";
  message.Body = new MessageBody("Now.");
  message.ToRecipients.Add(address);
  await message.SendAndSaveCopy();
  const filter = new SearchFilter.IsEqualTo(ItemSchema.Subject, "Sent at once");
  await until(async () => (await found("Inbox", filter)).TotalCount === 1, "the mail in the Inbox");
  await until(async () => (await found("SentItems", filter)).TotalCount === 1, "the copy in Sent Items");
});

check("sends a draft that it saved before", async () => {
  const message = await draft("Sent later");
  await message.Load(everything());
  await message.Send();
  const filter = new SearchFilter.IsEqualTo(ItemSchema.Subject, "Sent later");
  assert.equal((await found("Drafts", filter)).TotalCount, 0);
});

check("marks a mail as read", async () => {
  const filter = new SearchFilter.IsEqualTo(ItemSchema.Subject, "Sent at once");
  const item = (await found("Inbox", filter)).Items[0];
  const message = await EmailMessage.Bind(service, item.Id, everything());
  assert.equal(message.IsRead, false);
  message.IsRead = true;
  await message.Update(ConflictResolutionMode.AutoResolve);
  const unread = new SearchFilter.IsEqualTo(EmailMessageSchema.IsRead, false);
  assert.equal((await found("Inbox", unread)).TotalCount, 0);
});

check("has the server make a reply, and a forwarded mail", async () => {
  const filter = new SearchFilter.IsEqualTo(ItemSchema.Subject, "Sent at once");
  const item = (await found("Inbox", filter)).Items[0];
  const message = await EmailMessage.Bind(service, item.Id, everything());
  await message.Reply(new MessageBody("Done."), false);
  const replies = new SearchFilter.IsEqualTo(ItemSchema.Subject, "RE: Sent at once");
  await until(async () => (await found("Inbox", replies)).TotalCount === 1, "the reply");
  await message.Forward(new MessageBody("For you."), [new EmailAddress(address)]);
  const forwarded = new SearchFilter.IsEqualTo(ItemSchema.Subject, "FW: Sent at once");
  await until(async () => (await found("Inbox", forwarded)).TotalCount === 1, "the forwarded mail");
});

check("moves a mail, whose id is new, and copies it", async () => {
  const message = await draft("To be moved");
  const moved = await message.Move(WellKnownFolderName.Inbox);
  assert.notEqual(moved.Id.UniqueId, message.Id.UniqueId);
  await refused(EmailMessage.Bind(service, message.Id), "ErrorItemNotFound");
  const copied = await moved.Copy(WellKnownFolderName.Drafts);
  assert.notEqual(copied.Id.UniqueId, moved.Id.UniqueId);
});

check("deletes several mails in one call", async () => {
  const ids = [(await draft("One")).Id, (await draft("Two")).Id];
  const responses = await service.DeleteItems(ids, DeleteMode.MoveToDeletedItems, null, null);
  assert.equal(responses.OverallResult, 0);
  assert.equal(responses.Count, 2);
  await refused(EmailMessage.Bind(service, ids[0]), "ErrorItemNotFound");
});

check("makes several mails in one call", async () => {
  const messages = ["Batch 1", "Batch 2"].map((subject) => {
    const message = new EmailMessage(service);
    message.Subject = subject;
    return message;
  });
  const responses = await service.CreateItems(messages, wellKnown("Drafts"), MessageDisposition.SaveOnly, null);
  assert.equal(responses.Count, 2);
  assert.ok(messages.every((message) => message.Id.UniqueId));
});

check("resolves a name", async () => {
  const names = await service.ResolveName(address);
  assert.equal(names.Count, 1);
  assert.equal(names._getItem(0).Mailbox.Address, address);
});

check("converts an id", async () => {
  const message = await draft("Id");
  const hex = await service.ConvertId(new AlternateId(IdFormat.EwsId, message.Id.UniqueId, address), IdFormat.HexEntryId);
  assert.match(hex.UniqueId, /^[0-9A-Fa-f]+$/);
});

check("is refused an id that is none", async () => {
  await refused(EmailMessage.Bind(service, new ItemId("AAMkNoSuchThing")), "ErrorInvalidIdMalformed");
});

check("reads headers of a mail that arrived", async () => {
  const filter = new SearchFilter.IsEqualTo(ItemSchema.Subject, "Sent at once");
  const item = (await found("Inbox", filter)).Items[0];
  const message = await EmailMessage.Bind(service, item.Id, new PropertySet(BasePropertySet.IdOnly, [ItemSchema.InternetMessageHeaders, EmailMessageSchema.InternetMessageId]));
  assert.match(message.InternetMessageId, /^<.+>$/);
  assert.ok(message.InternetMessageHeaders.Items.some((header) => header.Name === "Subject"));
});

check("empties a folder", async () => {
  const folder = await Folder.Bind(service, WellKnownFolderName.DeletedItems);
  await folder.Empty(DeleteMode.HardDelete, false);
  assert.equal((await found("DeletedItems")).TotalCount, 0);
});

check("synchronises a folder from state to state", async () => {
  const sync = (state) => service.SyncFolderItems(wellKnown("Drafts"), PropertySet.IdOnly, null, 500, SyncFolderItemsScope.NormalItems, state);
  const first = await sync(null);
  assert.equal(first.MoreChangesAvailable, false);
  const message = await draft("New since then");
  const second = await sync(first.SyncState);
  assert.equal(second.Count, 1);
  assert.equal(second._getItem(0).ChangeType, ChangeType.Create);
  await message.Delete(DeleteMode.HardDelete);
  const third = await sync(second.SyncState);
  assert.equal(third._getItem(0).ChangeType, ChangeType.Delete);
  assert.equal((await sync(third.SyncState)).Count, 0);
});

check("synchronises the folders", async () => {
  const sync = (state) => service.SyncFolderHierarchy(wellKnown("MsgFolderRoot"), PropertySet.IdOnly, state);
  const first = await sync(null);
  assert.ok(first.Count > 10);
  const folder = new Folder(service);
  folder.DisplayName = "Synchronised";
  await folder.Save(WellKnownFolderName.Inbox);
  const second = await sync(first.SyncState);
  const changed = Array.from({ length: second.Count }, (_, index) => second._getItem(index).FolderId.UniqueId);
  assert.ok(changed.includes(folder.Id.UniqueId));
  await folder.Delete(DeleteMode.HardDelete);
});

check("is told of a new mail by pull", async () => {
  const subscription = await service.SubscribeToPullNotifications([wellKnown("Inbox")], 10, null, EventType.NewMail, EventType.Created);
  await arrive("Pulled");
  const events = await subscription.GetEvents();
  assert.ok(events.AllEvents.some((event) => event.EventType === EventType.NewMail));
  await subscription.Unsubscribe();
});

check("is told of a new mail by a stream", async () => {
  const subscription = await service.SubscribeToStreamingNotifications([wellKnown("Inbox")], EventType.NewMail);
  const connection = new StreamingSubscriptionConnection(service, 1);
  connection.AddSubscription(subscription);
  const events = [];
  connection.OnNotificationEvent.push((_connection, args) => events.push(...args.Events));
  connection.OnDisconnect.push(() => {});
  connection.OnSubscriptionError.push(() => {});
  // The promise is kept only when the stream ends.
  connection.Open().catch(() => {});
  await until(() => connection.IsOpen, "the connection");
  await arrive("Streamed");
  await until(() => events.some((event) => event.EventType === EventType.NewMail), "the event");
  connection.Close();
});

check("is refused with a token that nobody issued", async () => {
  const stranger = new ExchangeService(ExchangeVersion.Exchange2016);
  stranger.Url = service.Url;
  stranger.Credentials = new OAuthCredentials("not.a.token");
  await unauthorized(Folder.Bind(stranger, WellKnownFolderName.Inbox));
});

check("is refused with a name and a password, where only tokens count", async () => {
  const stranger = new ExchangeService(ExchangeVersion.Exchange2016);
  stranger.Url = service.Url;
  stranger.Credentials = new WebCredentials(address, "wrong");
  await unauthorized(Folder.Bind(stranger, WellKnownFolderName.Inbox));
});

check("is refused a mailbox that there is not", async () => {
  service.ImpersonatedUserId = new ImpersonatedUserId(ConnectingIdType.SmtpAddress, "nobody@example.org");
  try {
    await faulted(Folder.Bind(service, WellKnownFolderName.Inbox), "The SMTP address has no mailbox associated with it.");
  } finally {
    service.ImpersonatedUserId = new ImpersonatedUserId(ConnectingIdType.SmtpAddress, address);
  }
});

check("is refused what lies in a folder that is gone", async () => {
  const folder = await makeFolder("Gone");
  const message = await draft("In a folder that goes");
  const moved = await message.Move(folder.Id);
  await folder.Delete(DeleteMode.HardDelete);
  await refused(service.FindItems(folder.Id, new ItemView(10)), "ErrorItemNotFound");
  await refused(EmailMessage.Bind(service, moved.Id), "ErrorItemNotFound");
  await refused((await draft("To nowhere")).Move(folder.Id), "ErrorToFolderNotFound");
});

check("is told to come back later when it asks too much, and is served again afterwards", async () => {
  await faults([{ match: { operation: "GetFolder" }, fault: { kind: "server_busy", back_off_milliseconds: 1500 }, times: 1 }]);
  await faulted(Folder.Bind(service, WellKnownFolderName.Inbox), "The server cannot service this request right now. Try again later.");
  assert.equal((await Folder.Bind(service, WellKnownFolderName.Inbox)).DisplayName, "Inbox");
});

check("says which item of a batch was throttled; the others are served", async () => {
  const ids = [(await draft("Batch a")).Id, (await draft("Batch b")).Id];
  await faults([{ match: { operation: "GetItem", item: 1 }, fault: { kind: "item_error", code: "ErrorServerBusy" }, times: 1 }]);
  const responses = await service.BindToItems(ids, PropertySet.FirstClassProperties);
  assert.equal(ServiceError[responses.Responses[0].ErrorCode], "ErrorServerBusy");
  assert.equal(responses.Responses[1].Item.Subject, "Batch b");
});

check("carries an attachment of 20 MB there and back", async () => {
  const content = Buffer.alloc(20 * 1024 * 1024);
  for (let at = 0; at < content.length; at += 4096) content.writeUInt32BE(at, at);
  const message = new EmailMessage(service);
  message.Subject = "Big";
  message.Attachments.AddFileAttachment("big.bin", content.toString("base64"));
  await message.Save(WellKnownFolderName.Drafts);
  const read = await EmailMessage.Bind(service, message.Id, new PropertySet(BasePropertySet.IdOnly, [ItemSchema.Attachments, ItemSchema.Size]));
  assert.ok(read.Size > content.length);
  await read.Attachments.Items[0].Load();
  assert.ok(Buffer.from(read.Attachments.Items[0].Base64Content, "base64").equals(content));
  await message.Delete(DeleteMode.HardDelete);
});

check("is refused an item bigger than the mailbox may send", async () => {
  await settings({ send_bytes: 100000 });
  const message = new EmailMessage(service);
  message.Subject = "Too big";
  message.Attachments.AddFileAttachment("big.bin", Buffer.alloc(300000).toString("base64"));
  await refused(message.Save(WellKnownFolderName.Drafts), "ErrorMessageSizeExceeded");
  await settings({ send_bytes: 36700160 });
});

check("makes, finds and renames folders of any script", async () => {
  const names = ["Überführung Zürich", "患者搬送", "نقل المرضى", "🚑 Zone 4", "Ordre d’évacuation"];
  for (const name of names) {
    const folder = await makeFolder(name);
    const results = await service.FindFolders(wellKnown("Inbox"), new SearchFilter.IsEqualTo(FolderSchema.DisplayName, name), new FolderView(10));
    assert.deepEqual(results.Folders.map((one) => one.Id.UniqueId), [folder.Id.UniqueId]);
    folder.DisplayName = `${name} ✓`;
    await folder.Update();
    assert.equal((await Folder.Bind(service, folder.Id)).DisplayName, `${name} ✓`);
    await folder.Delete(DeleteMode.HardDelete);
  }
});

check("moves several mails in one call, in their order", async () => {
  const ids = [];
  for (const number of [1, 2, 3]) ids.push((await draft(`Moved together ${number}`)).Id);
  const folder = await makeFolder("Together");
  const responses = await service.MoveItems(ids, folder.Id);
  assert.equal(responses.OverallResult, 0);
  const subjects = [];
  for (const one of responses.Responses) subjects.push((await EmailMessage.Bind(service, one.Item.Id, everything())).Subject);
  assert.deepEqual(subjects, [1, 2, 3].map((number) => `Moved together ${number}`));
  await folder.Delete(DeleteMode.HardDelete);
});

check("flags a mail for follow-up, and marks it as done", async () => {
  const message = await draft("Flagged");
  for (const status of [ItemFlagStatus.Flagged, ItemFlagStatus.Complete, ItemFlagStatus.NotFlagged]) {
    const flag = new Flag();
    flag.FlagStatus = status;
    message.Flag = flag;
    await message.Update(ConflictResolutionMode.AlwaysOverwrite);
    const read = await EmailMessage.Bind(service, message.Id, new PropertySet(BasePropertySet.IdOnly, [ItemSchema.Flag]));
    assert.equal(read.Flag.FlagStatus, status);
  }
});

check("sees that a mail is attached to a mail", async () => {
  // It cannot open it, nor attach one: the port takes its own attachment for an invalid argument.
  const mime = "Subject: Outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"
    + "--o\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment; filename=inner.eml\r\n\r\nSubject: Inner\r\n\r\n\r\n--o--\r\n";
  const message = new EmailMessage(service);
  message.MimeContent = new MimeContent("UTF-8", Buffer.from(mime).toString("base64"));
  await message.Save(WellKnownFolderName.Drafts);
  const read = await EmailMessage.Bind(service, message.Id, new PropertySet(BasePropertySet.IdOnly, [ItemSchema.Attachments]));
  assert.ok(read.Attachments.Items[0] instanceof ItemAttachment);
  assert.equal(read.Attachments.Items[0].Name, "inner.eml");
});

check("is refused a state that no synchronisation gave", async () => {
  const sync = service.SyncFolderItems(wellKnown("Drafts"), PropertySet.IdOnly, null, 10, SyncFolderItemsScope.NormalItems, "AAAA");
  await refused(sync, "ErrorInvalidSyncStateData");
});

check("is told by one stream of what happens in two folders", async () => {
  const kinds = [EventType.Created, EventType.Moved, EventType.Deleted];
  const subscription = await service.SubscribeToStreamingNotifications([wellKnown("Drafts"), wellKnown("Notes")], ...kinds);
  const { connection, events } = await streamOf(subscription);
  const message = await draft("Watched");
  const moved = await message.Move(WellKnownFolderName.Notes);
  await moved.Delete(DeleteMode.HardDelete);
  await until(() => kinds.every((kind) => events.some((event) => event.EventType === kind)), "all three kinds of event");
  connection.Close();
});

check("learns on its stream that the subscription is lost", async () => {
  const subscription = await service.SubscribeToStreamingNotifications([wellKnown("Inbox")], EventType.NewMail);
  const { connection, errors } = await streamOf(subscription);
  await admin("POST", "/expire", { what: "subscriptions" });
  await until(() => errors.length > 0, "the error");
  if (connection.IsOpen) connection.Close();
});

async function makeFolder(name) {
  const folder = new Folder(service);
  folder.DisplayName = name;
  await folder.Save(WellKnownFolderName.Inbox);
  return folder;
}

async function streamOf(subscription) {
  const connection = new StreamingSubscriptionConnection(service, 1);
  connection.AddSubscription(subscription);
  const events = [], errors = [];
  connection.OnNotificationEvent.push((_connection, args) => events.push(...args.Events));
  connection.OnDisconnect.push((_connection, args) => { if (args?.Exception) errors.push(args.Exception); });
  connection.OnSubscriptionError.push((_connection, args) => errors.push(args.Exception));
  // The promise is kept only when the stream ends.
  connection.Open().catch((error) => errors.push(error));
  await until(() => connection.IsOpen, "the connection");
  return { connection, events, errors };
}

// A whole call that is refused: the port hands on the fault's text, not its code.
async function faulted(promise, text) {
  const error = await promise.then(() => null, (reason) => reason);
  assert.ok(error, "nothing was refused");
  assert.equal(String(error.Message ?? error.message), text);
}

async function unauthorized(promise) {
  const error = await promise.then(() => null, (reason) => reason);
  assert.ok(error, "nothing was refused");
  assert.match(JSON.stringify(error, Object.getOwnPropertyNames(error)) + String(error.Message ?? error), /401|[Uu]nauthori[sz]ed/);
}

check("searches by words and groups what it finds", async () => {
  for (const subject of ["Grouped A", "Grouped B", "RE: Grouped A"]) await draft(subject);
  const words = await service.FindItems(wellKnown("Drafts"), 'subject:"Grouped A" NOT body:elsewhere', new ItemView(10));
  assert.equal(words.TotalCount, 2);
  const filter = new SearchFilter.ContainsSubstring(ItemSchema.Subject, "Grouped");
  const grouping = new Grouping(EmailMessageSchema.ConversationTopic, SortDirection.Ascending, ItemSchema.Subject, AggregateType.Minimum);
  const groups = await service.FindItems(wellKnown("Drafts"), filter, new ItemView(10), grouping);
  assert.equal(groups.TotalCount, 3);
  assert.deepEqual(groups.ItemGroups.map((group) => [group.GroupIndex, group.Items.length]), [["Grouped A", 2], ["Grouped B", 1]]);
});

check("finds a conversation, reads its mails, and does things with all of them", async () => {
  for (const subject of ["Talk", "RE: Talk", "Silence"]) await draft(subject);
  const listed = await service.FindConversation(new ConversationIndexedItemView(50), wellKnown("Drafts"));
  const talk = listed.find((one) => one.Topic === "Talk");
  assert.equal(talk.MessageCount, 2);
  const response = await service.GetConversationItems(
    talk.Id, new PropertySet(BasePropertySet.IdOnly, [ItemSchema.Subject]), null, null, ConversationSortOrder.DateOrderAscending);
  const subjects = [];
  for (const node of response.ConversationNodes.Items) for (const item of node.Items) subjects.push(item.Subject);
  assert.deepEqual(subjects, ["Talk", "RE: Talk"]);
  await talk.SetReadStateForItemsInConversation(wellKnown("Drafts"), true);
  await talk.DeleteItems(wellKnown("Drafts"), DeleteMode.HardDelete);
  const left = await service.FindConversation(new ConversationIndexedItemView(50), wellKnown("Drafts"));
  assert.ok(left.some((one) => one.Topic === "Silence") && !left.some((one) => one.Topic === "Talk"));
});

async function admin(method, path, body) {
  const answer = await fetch(`${info.admin_url}${path}`, { method, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.text());
}

const faults = (rules) => admin("PUT", "/faults", rules);
const settings = (values) => admin("PUT", "/settings", values);

async function arrive(subject) {
  const message = new EmailMessage(service);
  message.Subject = subject;
  message.Body = new MessageBody("Now.");
  message.ToRecipients.Add(address);
  await message.Send();
  const filter = new SearchFilter.IsEqualTo(ItemSchema.Subject, subject);
  await until(async () => (await found("Inbox", filter)).TotalCount === 1, "the mail to arrive");
}

for (const [name, run] of checks) {
  const result = { name };
  try {
    await run();
  } catch (error) {
    result.error = String(error?.Message ?? error?.stack ?? error);
  }
  console.log(JSON.stringify(result));
}
// An open stream must not keep the process.
process.exit(0);
