"""
A test of a program that talks to Exchange, for a project of your own.

In its conftest.py: pytest_plugins = ["bridge.sandbox.testing"]
Once: pip install '/path/to/the/checkout/of/the/bridge[sandbox]' pytest
"""

import requests

FIND = """<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"
 xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages">
<s:Header><t:RequestServerVersion Version="Exchange2013_SP1"/><t:ExchangeImpersonation><t:ConnectingSID>
<t:SmtpAddress>{address}</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation></s:Header>
<s:Body><m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>
<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem></s:Body></s:Envelope>"""


def find_inbox(mailbox):
    """What a program of yours would do; it is told the address, a token and the CA, nothing else."""
    with requests.Session() as session:
        session.trust_env = False
        return session.post(
            mailbox.sandbox.info["ews_url"],
            data=FIND.format(address=mailbox.address).encode(),
            headers={
                "Authorization": f"Bearer {mailbox.sandbox.token()}",
                "Content-Type": "text/xml; charset=utf-8",
                "X-AnchorMailbox": mailbox.address,
            },
            verify=mailbox.sandbox.ca_file,
            timeout=30,
        )


def test_a_mail_is_listed(exchange_mailbox):
    exchange_mailbox.deliver(subject="Bed 12 is free")

    assert "<t:Subject>Bed 12 is free</t:Subject>" in find_inbox(exchange_mailbox).text


def test_exchange_is_busy_once(exchange_mailbox):
    exchange_mailbox.fault("server_busy", operation="FindItem", times=1)

    assert [find_inbox(exchange_mailbox).status_code for _ in range(2)] == [500, 200]


def test_with_exchangelib(exchange_mailbox):
    account = exchange_mailbox.account()
    exchange_mailbox.deliver(subject="Bed 12 is free")

    assert [mail.subject for mail in account.inbox.all()] == ["Bed 12 is free"]


def test_ews_is_switched_off_for_the_mailbox(exchange_mailbox):
    with exchange_mailbox.settings(ews_enabled=False):
        assert find_inbox(exchange_mailbox).status_code == 403
