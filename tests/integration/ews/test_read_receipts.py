"""What the bridge does with a mail that asks for a read receipt tells its sender nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.ews.inbox import EwsInbox
from bridge.ports.broker import PublishReceipt
from tests.support.ews import ews_client
from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient as Person

if TYPE_CHECKING:
    from pathlib import Path

_ADDRESS = "dispatch@example.org"
_DELETE = '<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="{}"/></m:ItemIds></m:DeleteItem>'


async def test_mail_that_the_bridge_fetches_removes_or_parks_sends_no_read_receipt(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[_ADDRESS]) as sandbox, ews_client(sandbox) as client:
        for number in range(3):
            head = f"From: cad@example.com\r\nDisposition-Notification-To: cad@example.com\r\nSubject: {number}"
            sandbox.deliver(_ADDRESS, f"{head}\r\n\r\nx\r\n".encode())
        inbox = EwsInbox(client, _ADDRESS)
        removed, parked, other = (await inbox.list_waiting("inbox", limit=10)).refs

        await inbox.fetch([removed, parked])
        [gone] = await inbox.remove([(removed, PublishReceipt(removed.message_id))])
        [aside] = await inbox.park([(parked, "mime_broken", PublishReceipt(parked.message_id))])
        of_the_bridge = sandbox.sends()
        Person(sandbox, _ADDRESS).call(_DELETE.format(other.item_id))

        assert (gone.error, aside.error) == (None, None)
        assert of_the_bridge == []
        assert [one["recipients"] for one in sandbox.sends()] == [["cad@example.com"]]
