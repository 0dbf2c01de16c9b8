"""Reading mails: exchangelib's own `fetch`, which reads an answer byte by byte, beside the bridge's adapter."""

from __future__ import annotations

import asyncio
import os
import statistics
import time

from exchangelib import IMPERSONATION, Account, Build, Configuration, Version
from exchangelib.credentials import OAuth2AuthorizationCodeCredentials

from bridge.adapters.entra.app import EntraApp
from bridge.adapters.entra.credentials import SecretSource
from bridge.adapters.entra.sign_in import SignIn
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.inbox import EwsInbox
from bridge.domain.mail import FetchedMail
from tests.bench.figures import Figure
from tests.bench.stage import ADDRESS, Stage


def measure(*, mails: int, size: int, runs: int) -> tuple[float, float]:
    """Return the median mails per second of the bridge and of exchangelib, reading the same mails in one call each."""
    with Stage() as stage:
        stage.fill(mails, size=size)
        info = stage.sandbox.info
        app = EntraApp(
            info["authority_url"], info["client_id"], "https://outlook.office365.com/.default", info["ca_file"]
        )
        tokens = SignIn("default", app, [SecretSource(str(info["client_secret"]), None)]).tokens()
        client = EwsClient(EwsConnection(info["ews_url"], ca_file=info["ca_file"]), tokens=tokens)
        inbox = EwsInbox(client, ADDRESS)
        refs = asyncio.run(inbox.list_waiting("inbox", limit=mails)).refs
        os.environ["REQUESTS_CA_BUNDLE"] = info["ca_file"]
        credentials = OAuth2AuthorizationCodeCredentials(
            access_token={"access_token": tokens.token().value, "token_type": "Bearer"}
        )
        configuration = Configuration(
            service_endpoint=info["ews_url"], credentials=credentials, version=Version(build=Build(15, 20))
        )
        account = Account(ADDRESS, access_type=IMPERSONATION, config=configuration, autodiscover=False)
        ids = [(ref.item_id, None) for ref in refs]
        bridge, naive = [], []
        for _ in range(runs):
            started = time.monotonic()
            items = list(account.fetch(ids, only_fields=["mime_content"], chunk_size=mails))
            naive.append(len(items) / (time.monotonic() - started))
            started = time.monotonic()
            fetched = asyncio.run(inbox.fetch(refs))
            bridge.append(len(fetched) / (time.monotonic() - started))
            ours = [mail.mime for mail in fetched if isinstance(mail, FetchedMail)]
            if ours != [item.mime_content for item in items]:
                raise RuntimeError("the two read different bytes")
        client.close()
    return statistics.median(bridge), statistics.median(naive)


def read(*, quick: bool) -> list[Figure]:
    """50 mails of 100 KB in one call."""
    bridge, naive = measure(mails=50, size=100_000, runs=2 if quick else 7)
    return [Figure.times("read", bridge, "mails/s", naive=naive, ratio=bridge / naive, at_least=5.0, aim=None)]
