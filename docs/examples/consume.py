"""Takes mails from a queue of one's own. Needs pika; AMQP_URL names the broker."""

import json
import os

import pika

QUEUE = "cad.requests"

channel = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"])).channel()
channel.queue_declare(
    QUEUE,
    durable=True,
    arguments={
        "x-queue-type": "quorum",  # a mail leaves the inbox once this queue holds it: it must outlive a broker node
        "x-delivery-limit": 20,  # what cannot be handled after so many tries goes to mail.inbound.dead
        "x-dead-letter-exchange": "mail.inbound.dead",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    },
)
channel.queue_bind(QUEUE, "mail.inbound", "dispatch.#")  # <mailbox alias>.<kind of mail>
channel.basic_qos(prefetch_count=10)

for method, properties, body in channel.consume(QUEUE):
    mail = json.loads(body)
    # After a crash of the bridge a mail may come twice, under the same message_id: remember those you handled.
    print(properties.message_id, mail["kind"], mail["from"], mail["subject"], len(mail["attachments"]), flush=True)
    channel.basic_ack(method.delivery_tag)
