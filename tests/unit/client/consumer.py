"""A program of somebody else's, as a type checker sees it: test_wheel.py checks it against the installed wheel."""

from __future__ import annotations

from datetime import datetime
from typing import assert_type

from bridge.client import Address, Attachment, BridgeClient, InboundMail, MailEvent, OutboundRequest, Received


def handle(received: Received[InboundMail]) -> None:
    mail = received.payload
    assert_type(received.message_id, str | None)
    assert_type(received.body, bytes)
    assert_type(mail.message_id, str)
    assert_type(mail.subject, str)
    assert_type(mail.received_at, datetime | None)
    assert_type(mail.to[0].address, str)
    assert_type(mail.attachments[0].name, str | None)
    assert_type(mail.attachments[0].size, int | None)
    assert_type(mail.defects, tuple[str, ...])
    received.ack()


def ask(bridge: BridgeClient) -> str:
    request = OutboundRequest(
        request_id="4711",
        to=(Address(address="crew@example.net"),),
        subject="Flight 7",
        text="Ready",
        attachments=(Attachment(name="map.png", content_type="image/png", content=b"PNG"),),
    )
    assert_type(request.request_id, str)
    assert_type(request.expires_at, datetime | None)
    bridge.publish_request(request, mailbox="dispatch", urgent=True)
    return request.request_id


def follow(bridge: BridgeClient) -> str:
    for received in bridge.events(bridge.subscribe_events("outbound.*")):
        assert_type(received, Received[MailEvent])
        event = received.payload
        assert_type(event.event_id, str)
        assert_type(event.at, datetime)
        assert_type(event.request_id, str | None)
        if event.code is not None:
            return event.code
    return ""


def main() -> None:
    with BridgeClient("amqp://user:password@broker/") as bridge:
        for received in bridge.mails():
            assert_type(received, Received[InboundMail])
            handle(received)
        ask(bridge)
        follow(bridge)
