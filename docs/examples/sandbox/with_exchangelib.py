"""Lists the inbox of a sandbox with exchangelib: python with_exchangelib.py /tmp/sandbox dispatch@example.org"""

import json
import os
import sys
from pathlib import Path

import msal
from exchangelib import IMPERSONATION, OAUTH2, Account, Build, Configuration, FailFast, Version
from exchangelib.credentials import OAuth2AuthorizationCodeCredentials

directory, address = sys.argv[1:]
info = json.loads(Path(directory, "sandbox.json").read_text("utf-8"))
# exchangelib and msal go by it, and so does all else in this process that is built on requests.
os.environ["REQUESTS_CA_BUNDLE"] = info["ca_file"]

app = msal.ConfidentialClientApplication(
    info["client_id"],
    info["client_secret"],
    authority=info["authority_url"],
    instance_discovery=False,
)
token = app.acquire_token_for_client(["https://outlook.office365.com/.default"])
account = Account(
    address,
    access_type=IMPERSONATION,
    autodiscover=False,
    config=Configuration(
        service_endpoint=info["ews_url"],
        auth_type=OAUTH2,
        version=Version(Build(15, 20)),
        retry_policy=FailFast(),
        credentials=OAuth2AuthorizationCodeCredentials(client_id=info["client_id"], access_token=token),
    ),
)
for mail in account.inbox.all().order_by("-datetime_received")[:10]:
    print(mail.subject)
