"""One mailbox of a running sandbox, seen from a test."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.sandbox.testing.process import SandboxProcess

_MAILBOXES = "mailboxes"


@dataclass(frozen=True)
class ExchangeMailbox:
    """A mailbox that a test has for itself."""

    sandbox: SandboxProcess
    address: str
    username: str
    password: str = field(repr=False)
    """Opens it by Basic and NTLM where the sandbox is on-premises."""
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)
    _rules: list[str] = field(default_factory=list, repr=False)

    def deliver(
        self,
        mime: bytes | None = None,
        *,
        subject: str = "A mail",
        text: str = "Hello\n",
        sender: str = "sender@elsewhere.example",
    ) -> bytes:
        """Deliver a mail by SMTP, these bytes or one made of the rest; returns its bytes once it is in the inbox."""
        if mime is None:
            mail = EmailMessage(policy=SMTP)
            mail["From"], mail["To"], mail["Subject"] = sender, self.address, subject
            mail["Message-ID"] = f"<{next(self._numbers)}.{self.address.replace('@', '.')}@elsewhere.example>"
            mail.set_content(text)
            mime = mail.as_bytes()
        self.sandbox.deliver(self.address, mime, sender=sender)
        return mime

    def mails(self, folder: str = "inbox") -> list[dict[str, Any]]:
        """Return a folder's mails, oldest first, as the admin API tells them."""
        return self.sandbox.mails(self.address, folder)

    def mime(self, item_id: str, folder: str = "inbox") -> bytes:
        """Return a mail's bytes."""
        return self.sandbox.mime(self.address, item_id, folder)

    def sends(self) -> list[dict[str, Any]]:
        """Return every send from this mailbox that Exchange accepted, in order."""
        return [send for send in self.sandbox.sends() if send["mailbox"].lower() == self.address.lower()]

    def fault(self, fault: str | dict[str, Any], **match: object) -> str:
        """
        Let calls in this mailbox fail until the test ends: `fault("cut_after", operation="SendItem", nth=1)`.

        `times=1` and `seed=7` go to the rule, all else to its `match`. Returns the rule's name.
        """
        name = f"{self.address} {next(self._numbers)}"
        rule: dict[str, Any] = {key: match.pop(key) for key in ("times", "seed") if key in match}
        # Noted first: a rule too many is taken away, one too few stays.
        self._rules.append(name)
        self.sandbox.add_fault({"name": name, "match": {"mailbox": self.address, **match}, "fault": fault, **rule})
        return name

    def end_faults(self) -> None:
        """Take away the rules of this mailbox; those of others stay."""
        there = {rule.get("name") for rule in self.sandbox.fault_report()}
        while self._rules:
            name = self._rules.pop()
            if name in there:
                self.sandbox.remove_fault(name)

    @contextmanager
    def settings(self, **changes: object) -> Iterator[None]:
        """Have these settings for this mailbox alone until the block ends: `settings(sends_per_minute=5)`."""
        others: dict[str, Any] = self.sandbox.admin("/settings")[_MAILBOXES]
        before = others.get(self.address.lower(), {})
        self.sandbox.admin("/settings", method="PUT", body={_MAILBOXES: {self.address: {**before, **changes}}})
        try:
            yield
        finally:
            self.sandbox.admin("/settings", method="PUT", body={_MAILBOXES: {self.address: before}})

    def account(self) -> Any:  # noqa: ANN401 - exchangelib publishes no types, and need not be there
        """Return an `exchangelib.Account` that opens it with a token; only this asks for exchangelib."""
        from bridge.sandbox.testing.exchangelib_account import account_of  # noqa: PLC0415 - see the docstring

        return account_of(self.sandbox, self.address)
