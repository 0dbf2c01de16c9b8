"""
The other direction as documentation would have one write it: one request, one send, one acknowledgement.

Reads its settings as JSON from standard input, and ends when it has sent as many as they say.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pika
from exchangelib import Message

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.naive import open_accounts


def main(settings: dict[str, Any]) -> None:
    """Send what is asked for, one after the other."""
    [(alias, account)] = open_accounts(settings).items()
    channel = pika.BlockingConnection(pika.URLParameters(settings["amqp_url"])).channel()
    channel.basic_qos(prefetch_count=1)
    for done, (method, _, body) in enumerate(channel.consume(f"mail.outbound.{alias}"), 1):
        assert method is not None
        assert body is not None
        request = json.loads(body)
        message = Message(
            account=account,
            subject=request["subject"],
            body=request["text"],
            to_recipients=[one["address"] for one in request["to"]],
        )
        message.send()
        channel.basic_ack(method.delivery_tag)
        if done == settings["requests"]:
            channel.connection.close()
            return


if __name__ == "__main__":
    main(json.load(sys.stdin))
