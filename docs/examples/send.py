"""Asks the bridge to send a mail. Needs pika; AMQP_URL names the broker, the argument is the recipient."""

import json
import os
import sys
import uuid

import pika

channel = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"])).channel()
channel.confirm_delivery()  # without it a lost connection loses the request unnoticed

request = {
    "request_id": str(uuid.uuid4()),  # publish again under the same id after any doubt: it is sent once
    "to": [{"address": sys.argv[1]}],
    "subject": "Flight 7: patient ready at landing zone 2",
    "text": "Contact the ground crew on arrival.",
    "expires_at": None,  # or a time, after which it is not sent any more but reported as expired
}
channel.basic_publish(
    "mail.outbound",
    "dispatch.urgent",  # <mailbox alias>, or <mailbox alias>.urgent to overtake
    json.dumps(request).encode(),
    pika.BasicProperties(message_id=request["request_id"], content_type="application/json", delivery_mode=2),
    mandatory=True,
)
print(request["request_id"])
