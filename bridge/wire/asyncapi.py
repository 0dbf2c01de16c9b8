"""
The AsyncAPI 3.0 document: every channel of the broker, seen from the bridge.

AMQP bindings (0.3.0) have no field for the arguments of queues; they are in the extension `x-arguments`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.wire import event_v1, inbound_v1, outbound_v1, topology

if TYPE_CHECKING:
    from collections.abc import Mapping

_BINDING_VERSION = "0.3.0"
_SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
_MAILBOX = "{mailbox}"
# Stands for a mailbox while the arguments of its queues are read from the topology.
_SAMPLE = "mailbox"


def document(schema_files: Mapping[str, str]) -> dict[str, Any]:
    """Return the document; it refers to the payloads' schemas by the given file names beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Exchange mail bridge",
            "version": "1.0.0",
            "description": (
                "Mail from Exchange mailboxes as JSON on RabbitMQ, and requests to send mail the other way. Every queue"
                " is a durable quorum queue; every message is persistent. Deliveries may come twice: drop repeats by"
                " message_id."
            ),
        },
        "defaultContentType": "application/json",
        "servers": {
            "rabbitmq": {
                "host": "broker.example.org:5671",
                "protocol": "amqps",
                "protocolVersion": "0.9.1",
                "description": "RabbitMQ 4; AMQP 0-9-1.",
            }
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(schema_files)},
    }


def _channels() -> dict[str, Any]:
    declared = topology.topology([_SAMPLE])
    exchanges = {one.name: one for one in declared.amqp_exchanges}
    queues = {one.name: one for one in declared.queues}

    def exchange(name: str) -> dict[str, Any]:
        found = exchanges[name]
        binding: dict[str, Any] = {"name": name, "type": found.type, "durable": True, "autoDelete": False}
        if found.arguments:
            binding["x-arguments"] = dict(found.arguments)
        return binding

    def key_channel(address: str, name: str, message: str, description: str, **parameters: Any) -> dict[str, Any]:
        channel: dict[str, Any] = {
            "address": address,
            "description": description,
            "messages": {message: {"$ref": f"#/components/messages/{message}"}},
            "bindings": {"amqp": {"is": "routingKey", "exchange": exchange(name), "bindingVersion": _BINDING_VERSION}},
        }
        if parameters:
            channel["parameters"] = parameters
        return channel

    def queue_channel(name: str, message: str, description: str) -> dict[str, Any]:
        found = queues[name.replace(_MAILBOX, _SAMPLE)]
        channel: dict[str, Any] = {
            "address": name,
            "description": description,
            "messages": {message: {"$ref": f"#/components/messages/{message}"}},
            "bindings": {
                "amqp": {
                    "is": "queue",
                    "queue": {
                        "name": name,
                        "durable": True,
                        "exclusive": False,
                        "autoDelete": False,
                        "x-arguments": dict(found.arguments),
                    },
                    "bindingVersion": _BINDING_VERSION,
                }
            },
        }
        if _MAILBOX in name:
            channel["parameters"] = {"mailbox": _MAILBOX_PARAMETER}
        return channel

    channels = {
        "inbound": key_channel(
            "{mailbox}.{kind}",
            topology.INBOUND,
            "inbound",
            "Mails as they arrive. Bind a queue of your own, by mailbox or kind. A mail that no queue wants stays in"
            " its mailbox.",
            mailbox=_MAILBOX_PARAMETER,
            kind={"enum": _kinds(), "description": "What the mail is."},
        ),
        "inboundQueue": queue_channel(topology.INBOUND, "inbound", "The default queue, bound to every mail."),
        "inboundDead": queue_channel(
            topology.INBOUND_DEAD, "inbound", "Mails that consumers gave back too often. Anything here is an alarm."
        ),
        "outbound": key_channel(
            _MAILBOX, topology.OUTBOUND, "outbound", "Requests to send.", mailbox=_MAILBOX_PARAMETER
        ),
        "outboundUrgent": key_channel(
            f"{_MAILBOX}.urgent",
            topology.OUTBOUND,
            "outbound",
            "Requests that overtake ordinary ones.",
            mailbox=_MAILBOX_PARAMETER,
        ),
        "outboundQueue": queue_channel(
            topology.outbound_queue(_MAILBOX), "outbound", "Ordinary requests to one mailbox."
        ),
        "outboundUrgentQueue": queue_channel(
            topology.outbound_urgent_queue(_MAILBOX), "outbound", "Urgent requests to one mailbox."
        ),
        "outboundReturned": queue_channel(
            topology.OUTBOUND_RETURNED, "outbound", "Requests that no queue took or that the broker gave up."
        ),
        "events": key_channel(
            "{event}",
            topology.EVENTS,
            "event",
            "What became of requests and mails. Bind a queue of your own to get every one.",
            event={"enum": list(event_v1.EVENT_NAMES), "description": "What happened."},
        ),
        "eventsQueue": queue_channel(
            topology.EVENTS, "event", "The default queue; events that nobody reads are dropped after a time."
        ),
        "dead": queue_channel(
            topology.DEAD, "deadRequest", "Requests that failed for good, with the reason in the headers."
        ),
    }
    for step in topology.RETRY_STEPS:
        channels[f"outboundRetry{step.name}"] = queue_channel(
            step.amqp_exchange,
            "outbound",
            f"Requests that wait {step.seconds} s, then come back under their routing key.",
        )
    return channels


_MAILBOX_PARAMETER: dict[str, Any] = {"description": "The alias of a mailbox, `[a-z0-9-]+`.", "examples": ["dispatch"]}


def _kinds() -> list[str]:
    kinds: list[str] = inbound_v1.InboundMail.model_json_schema()["properties"]["kind"]["enum"]
    return kinds


def _operations() -> dict[str, Any]:
    def operation(action: str, channel: str, summary: str, **amqp: Any) -> dict[str, Any]:
        return {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": summary,
            "bindings": {"amqp": {**amqp, "bindingVersion": _BINDING_VERSION}},
        }

    published = {"deliveryMode": 2, "mandatory": True, "timestamp": True}
    return {
        "publishMail": operation("send", "inbound", "The bridge publishes each mail, with a confirm.", **published),
        "publishEvent": operation("send", "events", "The bridge tells what became of it.", **published),
        "publishDeadRequest": operation("send", "dead", "The bridge sets a request aside.", **published),
        "takeRequest": operation("receive", "outboundQueue", "The bridge takes a request.", ack=True),
        "takeUrgentRequest": operation("receive", "outboundUrgentQueue", "The bridge takes it first.", ack=True),
        "takeReturnedRequest": operation("receive", "outboundReturned", "The bridge ends what was lost.", ack=True),
    }


def _messages(schema_files: Mapping[str, str]) -> dict[str, Any]:
    def message(payload: str, title: str, headers: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": payload,
            "title": title,
            "contentType": "application/json",
            "headers": {"type": "object", "properties": headers},
            "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": f"./{schema_files[payload]}"}},
            "bindings": {"amqp": {"messageType": payload, "bindingVersion": _BINDING_VERSION}},
        }

    text = {"type": "string"}
    trace = {"traceparent": {"type": "string", "description": "W3C trace context, where there is a trace."}}
    return {
        "inbound": message(inbound_v1.NAME, "A mail that arrived", {"mailbox": text, "kind": text, **trace}),
        "outbound": message(outbound_v1.NAME, "A request to send a mail", trace),
        "event": message(event_v1.NAME, "What became of it", {"mailbox": text, "event": text, **trace}),
        "deadRequest": message(outbound_v1.NAME, "A request that failed for good", trace),
    }
