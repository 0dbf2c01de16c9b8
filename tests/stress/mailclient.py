"""What clients do with mails: they come, leave, are changed, moved and deleted."""

from __future__ import annotations

import time
from base64 import b64decode
from dataclasses import replace

from tests.stress import soap
from tests.stress.client import Client, deleted, with_instead
from tests.stress.journal import Creation, Place, Sending
from tests.stress.wire import TYPES, LostAnswerError, deliver, deliver_by_admin

WAYS = ("MoveToDeletedItems", "SoftDelete", "HardDelete")
GONE = {"ErrorItemNotFound"}


class MailClient(Client):
    """A client that does everything there is to do with a mail of its own."""

    def _arrive(self) -> None:
        mail = self._journal.new_mail(self._identity("smtp"), self._mailbox)
        self._mails.append(mail)
        mail.may_become((Place("inbox"),))
        deliver(self._shared.gate, [self._mailbox], self._mime(mail.message_id))
        self._journal.settle(mail, mail.worlds[1])

    def _arrive_at_several(self) -> None:
        message_id = self._identity("several")
        mailboxes = self._chance.sample(self._shared.mailboxes, min(2, len(self._shared.mailboxes)))
        group = [self._journal.new_mail(message_id, mailbox) for mailbox in mailboxes]
        self._journal.groups.append(group)
        for mail in group:
            mail.may_become((Place("inbox"),))
        self._shared.gate.delicate.set()
        deliver(self._shared.gate, mailboxes, self._mime(message_id))
        for mail in group:
            self._journal.settle(mail, mail.worlds[1])

    def _arrive_by_admin(self) -> None:
        mail = self._journal.new_mail(self._identity("admin"), self._mailbox)
        self._mails.append(mail)
        mail.may_become((Place("inbox"),))
        item_id = deliver_by_admin(self._shared.gate, self._mailbox, self._mime(mail.message_id))
        self._journal.settle(mail, (Place("inbox", item_id),))

    def _save(self) -> None:
        mail = self._journal.new_mail(self._identity("saved"), self._mailbox)
        where = self._chance.choice(["drafts", *self._folders])
        to = self._recipients()
        from_mime = self._chance.random() < 0.5
        mime = self._mime(mail.message_id, to) if from_mime else None
        item = soap.message(mail.message_id, mime=mime, to=to)
        mail.may_become((Place(where),))
        self._mails.append(mail)
        asked = time.monotonic()
        (answer,) = self._link.call(soap.create("SaveOnly", item, where))
        (item_id,) = self._done(answer, "CreateItem")
        self._journal.settle(mail, (Place(where, item_id),))
        self._journal.add(Creation(self._mailbox, item_id, asked, time.monotonic()))

    # Mails leave

    def _send_new(self) -> None:
        message_id, to = self._identity("sent"), self._recipients()
        copy = self._chance.random() < 0.7
        item = soap.message(message_id, mime=self._mime(message_id, to))
        body = soap.create("SendAndSaveCopy" if copy else "SendOnly", item, "sentitems" if copy else None)
        accepted = False
        try:
            (answer,) = self._link.call(body)
            self._done(answer, "CreateItem")
            accepted = True
        finally:
            self._journal.add(Sending(message_id, self._mailbox, tuple(to), copy, accepted))

    def _send_draft(self) -> None:
        message_id, to = self._identity("draft"), self._recipients()
        copy = self._chance.random() < 0.7
        mime = self._mime(message_id, to) if self._chance.random() < 0.5 else None
        asked = time.monotonic()
        try:
            (answer,) = self._link.call(soap.create("SaveOnly", soap.message(message_id, mime=mime, to=to), "drafts"))
        except LostAnswerError:
            mail = self._journal.new_mail(message_id, self._mailbox)
            mail.may_become((Place("drafts"),))
            self._mails.append(mail)
            raise
        (item_id,) = self._done(answer, "CreateItem")
        self._journal.add(Creation(self._mailbox, item_id, asked, time.monotonic()))
        key = soap.attribute(soap.shown_items(answer.node)[0], "ChangeKey")
        save = "true" if copy else "false"
        accepted = False
        try:
            (answer,) = self._link.call(
                f'<m:SendItem SaveItemToFolder="{save}"><m:ItemIds><t:ItemId Id="{item_id}" ChangeKey="{key}"/>'
                "</m:ItemIds></m:SendItem>"
            )
            self._done(answer, "SendItem")
            accepted = True
        finally:
            place = Place("drafts", item_id)
            self._journal.add(Sending(message_id, self._mailbox, tuple(to), copy, accepted, place))

    # Mails are looked at and changed

    def _update(self) -> None:
        for mail, place in self._some(where=lambda one: one.folder not in soap.SHARED or one.folder == "drafts"):
            (answer,) = self._link.call(soap.get([str(place.id)]))
            if not self._is_there(answer, mail):
                return
            (item,) = soap.shown_items(answer.node)
            if soap.place_of(item, place.folder) != place:
                self._journal.problem(f"{mail.message_id} is not as it was left")
            key = soap.attribute(item, "ChangeKey")
            self._change(
                soap.update(str(place.id), key, place.stamp + 1),
                [(mail, with_instead(mail, place, replace(place, stamp=place.stamp + 1)))],
                "UpdateItem",
            )
            (answer,) = self._link.call(soap.update(str(place.id), key, 999))
            if answer.code != "ErrorIrresolvableConflict":
                self._journal.problem(f"a stale change key was answered with {answer.code}")

    def _move(self) -> None:
        some = self._some(5)
        if some:
            to = self._chance.choice(["archive", "junkemail", "inbox", *self._folders])
            changes = [(mail, with_instead(mail, place, replace(place, folder=to, id=None))) for mail, place in some]
            self._change(soap.transfer("MoveItem", [str(place.id) for _, place in some], to), changes, "MoveItem")

    def _copy(self) -> None:
        some = self._some(3)
        if some:
            to = self._chance.choice(["archive", *self._folders])
            changes = [(mail, (*mail.world, replace(place, folder=to, id=None))) for mail, place in some]
            self._change(soap.transfer("CopyItem", [str(place.id) for _, place in some], to), changes, "CopyItem")

    def _delete(self) -> None:
        some = self._some(4)
        if some:
            way = self._chance.choice(WAYS)
            changes = [(mail, with_instead(mail, place, *deleted(place, way))) for mail, place in some]
            self._change(
                f'<m:DeleteItem DeleteType="{way}">{soap.items(str(place.id) for _, place in some)}</m:DeleteItem>',
                changes,
                "DeleteItem",
            )

    def _attach(self) -> None:
        for mail, place in self._some():
            name = f"{self._made}-{self._chance.randrange(1 << 30)}.txt"
            after = with_instead(mail, place, replace(place, attached=place.attached | {name}))
            mail.may_become(after)
            (answer,) = self._link.call(
                f'<m:CreateAttachment><m:ParentItemId Id="{place.id}"/><m:Attachments><t:FileAttachment>'
                f"<t:Name>{name}</t:Name><t:Content>QmF5IDM=</t:Content></t:FileAttachment></m:Attachments>"
                "</m:CreateAttachment>"
            )
            self._done(answer, "CreateAttachment")
            self._journal.settle(mail, after)

    def _detach(self) -> None:
        for mail, place in self._some(where=lambda one: bool(one.attached)):
            (answer,) = self._link.call(soap.get([str(place.id)]))
            if not self._is_there(answer, mail):
                return
            attachments = {
                node.findtext(TYPES + "Name") or "": soap.attribute(node, "Id", "AttachmentId")
                for node in answer.node.iter(TYPES + "FileAttachment")
            }
            name = self._chance.choice(sorted(place.attached))
            after = with_instead(mail, place, replace(place, attached=place.attached - {name}))
            mail.may_become(after)
            (answer,) = self._link.call(
                f'<m:DeleteAttachment><m:AttachmentIds><t:AttachmentId Id="{attachments[name]}"/></m:AttachmentIds>'
                "</m:DeleteAttachment>"
            )
            self._done(answer, "DeleteAttachment")
            self._journal.settle(mail, after)

    def _read(self) -> None:
        some = self._some(5)
        if not some:
            return
        found = self._link.call(soap.get([str(place.id) for _, place in some], mime=True))
        for (mail, place), answer in zip(some, found, strict=True):
            if not self._is_there(answer, mail):
                continue
            (item,) = soap.shown_items(answer.node)
            if soap.place_of(item, place.folder) != place:
                self._journal.problem(f"{mail.message_id} is not as it was left")
            if mail.message_id.encode() not in b64decode(item.findtext(TYPES + "MimeContent") or ""):
                self._journal.problem(f"the MIME of {mail.message_id} is another's")

    def _list(self) -> None:
        (answer,) = self._link.call(soap.find([self._chance.choice(soap.SHARED)], page=50))
        ids = answer.ids()
        root = next(answer.node.iter("{*}RootFolder"))
        if len(ids) != min(50, int(str(root.get("TotalItemsInView")))) or len(set(ids)) != len(ids):
            self._journal.problem("a page of FindItem does not hold what it says")

    def _ask_for_the_gone(self) -> None:
        gone = [item_id for mail in self._mails for item_id in mail.retired]
        if gone:
            asked = self._chance.sample(gone, min(5, len(gone)))
            codes = {answer.code for answer in self._link.call(soap.get(asked))}
            if codes != GONE:
                self._journal.problem(f"ids that are no more were answered with {sorted(codes)}")
