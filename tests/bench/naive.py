"""
A bridge as exchangelib's documentation would have one write it: the yardstick of the benchmarks.

One loop over the inbox, one blocking publish with a confirm, one delete for each mail. Reads its settings as JSON from
standard input and ends when the inbox is empty.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import msal
import pika
import requests
import urllib3
from exchangelib import IMPERSONATION, Account, Build, Configuration, FileAttachment, Version
from exchangelib.credentials import OAuth2AuthorizationCodeCredentials
from exchangelib.protocol import BaseProtocol, NoVerifyHTTPAdapter


def main(settings: dict[str, Any]) -> None:
    """Move every mail of the inbox to the queue."""
    urllib3.disable_warnings()
    BaseProtocol.HTTP_ADAPTER_CLS = NoVerifyHTTPAdapter
    session = requests.Session()
    session.verify = settings["ca_file"]
    app = msal.ConfidentialClientApplication(
        settings["client_id"],
        client_credential=settings["client_secret"],
        authority=settings["authority_url"],
        instance_discovery=False,
        http_client=session,
    )
    token = app.acquire_token_for_client([settings["scope"]])
    configuration = Configuration(
        service_endpoint=settings["ews_url"],
        credentials=OAuth2AuthorizationCodeCredentials(
            access_token={"access_token": token["access_token"], "token_type": "Bearer"}
        ),
        version=Version(build=Build(15, 20)),
    )
    account = Account(settings["address"], access_type=IMPERSONATION, config=configuration, autodiscover=False)

    channel = pika.BlockingConnection(pika.URLParameters(settings["amqp_url"])).channel()
    channel.confirm_delivery()
    properties = pika.BasicProperties(delivery_mode=2, content_type="application/json")

    for item in account.inbox.all():
        attachments = [
            {"name": attachment.name, "content": base64.b64encode(attachment.content).decode()}
            for attachment in item.attachments
            if isinstance(attachment, FileAttachment)
        ]
        body = json.dumps(
            {
                "message_id": item.message_id,
                "subject": item.subject,
                "from": item.sender.email_address if item.sender else None,
                "text": item.text_body,
                "raw": base64.b64encode(item.mime_content).decode(),
                "attachments": attachments,
            }
        )
        channel.basic_publish("mail.inbound", settings["routing_key"], body.encode(), properties, mandatory=True)
        item.delete()


if __name__ == "__main__":
    main(json.load(sys.stdin))
