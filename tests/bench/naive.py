"""
A bridge as exchangelib's documentation would have one write it: the yardstick of the benchmarks.

One loop over the inbox, one blocking publish with a confirm, one delete for each mail. Reads its settings as JSON from
standard input. It ends when all inboxes are empty, or looks again every `poll_seconds` where these are given. The
sandbox's CA is trusted by way of REQUESTS_CA_BUNDLE.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import msal
import pika
from exchangelib import IMPERSONATION, Account, Build, Configuration, FileAttachment, Version
from exchangelib.credentials import OAuth2AuthorizationCodeCredentials


def main(settings: dict[str, Any]) -> None:
    """Move every mail of the inboxes to the queue."""
    accounts = open_accounts(settings)
    connection = pika.BlockingConnection(pika.URLParameters(settings["amqp_url"]))
    channel = connection.channel()
    channel.confirm_delivery()

    if poll_seconds := settings.get("poll_seconds"):
        while True:
            for alias, account in accounts.items():
                for item in account.inbox.all():
                    carry(item, channel, f"{alias}.mail")
            connection.sleep(poll_seconds)

    for alias, account in accounts.items():
        # Deleting while paging shifts the pages, so one pass leaves mails behind: repeat until a pass finds none.
        while account.inbox.all().count():
            for item in account.inbox.all():
                carry(item, channel, f"{alias}.mail")


def open_accounts(settings: dict[str, Any]) -> dict[str, Any]:
    """Sign in, and return the account of each mailbox by its alias."""
    app = msal.ConfidentialClientApplication(
        settings["client_id"],
        client_credential=settings["client_secret"],
        authority=settings["authority_url"],
        instance_discovery=False,
    )
    token = app.acquire_token_for_client([settings["scope"]])
    configuration = Configuration(
        service_endpoint=settings["ews_url"],
        credentials=OAuth2AuthorizationCodeCredentials(
            access_token={"access_token": token["access_token"], "token_type": "Bearer"}
        ),
        version=Version(build=Build(15, 20)),
    )
    return {
        alias: Account(address, access_type=IMPERSONATION, config=configuration, autodiscover=False)
        for address, alias in settings["mailboxes"].items()
    }


def carry(item: Any, channel: Any, routing_key: str) -> None:  # noqa: ANN401 - neither library publishes types
    """Publish one mail and delete it."""
    attachments = [
        {"name": attachment.name, "content": base64.b64encode(attachment.content).decode()}
        for attachment in item.attachments
        if isinstance(attachment, FileAttachment)
    ]
    payload = {
        "message_id": item.message_id,
        "subject": item.subject,
        "from": item.sender.email_address if item.sender else None,
        "text": item.text_body,
        "raw": base64.b64encode(item.mime_content).decode(),
        "attachments": attachments,
    }
    properties = pika.BasicProperties(delivery_mode=2, content_type="application/json")
    channel.basic_publish("mail.inbound", routing_key, json.dumps(payload).encode(), properties, mandatory=True)
    item.delete()


if __name__ == "__main__":
    main(json.load(sys.stdin))
