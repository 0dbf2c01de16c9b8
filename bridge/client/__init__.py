"""
For programs that consume mails and ask for mails to be sent: typed payloads over RabbitMQ, nothing of Exchange.

    from bridge.client import Address, BridgeClient, OutboundRequest

    with BridgeClient("amqp://user:password@broker/") as bridge:
        bridge.publish_request(OutboundRequest(request_id="...", to=(Address(address="..."),)), mailbox="dispatch")
        for received in bridge.mails():
            handle(received.payload)
            received.ack()
"""

from __future__ import annotations

from bridge.client.broker import BridgeClient, Received
from bridge.client.connecting import SignIn
from bridge.errors import (
    BridgeError,
    BrokerAccessRefused,
    BrokerUnavailable,
    MessageTooLarge,
    PublishRefused,
    PublishUnconfirmed,
    PublishUnroutable,
    QueueTaken,
    RequestInvalid,
    TopologyMissing,
)
from bridge.wire.event_v1 import MailEvent
from bridge.wire.inbound_v1 import InboundMail
from bridge.wire.outbound_v1 import Address, Attachment, Blob, Header, OutboundRequest, Receipts

__all__ = [
    "Address",
    "Attachment",
    "Blob",
    "BridgeClient",
    "BridgeError",
    "BrokerAccessRefused",
    "BrokerUnavailable",
    "Header",
    "InboundMail",
    "MailEvent",
    "MessageTooLarge",
    "OutboundRequest",
    "PublishRefused",
    "PublishUnconfirmed",
    "PublishUnroutable",
    "QueueTaken",
    "Receipts",
    "Received",
    "RequestInvalid",
    "SignIn",
    "TopologyMissing",
]
