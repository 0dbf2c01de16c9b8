"""E-mail addresses that a request may carry: checked by their form alone, never by a look-up."""

from __future__ import annotations

import re
import unicodedata

import idna

LONGEST_ADDRESS_BYTES = 254
LONGEST_LOCAL_BYTES = 64

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED = re.compile(r'"(?:[ !#-\[\]-~]|\\[ -~])+"')
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


class AddressError(ValueError):
    """The address cannot be one; the text says why, never what it was."""


def check_address(address: str) -> str:
    """
    Return the address as it goes into a header: the domain in its ASCII form, the local part as given.

    Internationalised domains become A-labels (IDNA 2008 with UTS 46 mapping, never the transitional one that sends
    a name with sharp s elsewhere). An internationalised local part stays: it has no other form (RFC 6531).

    Raises:
        AddressError: It is no addr-spec of RFC 5321 that a mail system would take: comments, folding, address
            literals and domains of one label included.
    """
    local, at, domain = address.rpartition("@")
    if not at:
        raise AddressError("has no @")
    if not local or not domain:
        raise AddressError("is empty before or after the @")
    if any(unicodedata.category(c)[0] in "CZ" and c != " " for c in address) or (" " in address and local[0] != '"'):
        raise AddressError("has a space or a control character")
    if len(local.encode()) > LONGEST_LOCAL_BYTES:
        raise AddressError(f"has more than {LONGEST_LOCAL_BYTES} bytes before the @")
    if not (_DOT_ATOM.fullmatch(local) or _QUOTED.fullmatch(local)):
        raise AddressError("is not an address before the @")
    checked = f"{local}@{_check_domain(domain)}"
    if len(checked.encode()) > LONGEST_ADDRESS_BYTES:
        raise AddressError(f"is longer than {LONGEST_ADDRESS_BYTES} bytes")
    return checked


def _check_domain(domain: str) -> str:
    if not domain.isascii():
        if len(domain) > LONGEST_ADDRESS_BYTES:  # bounds the work of the conversion
            raise AddressError("is too long after the @")
        try:
            domain = idna.encode(domain, uts46=True, std3_rules=True).decode("ascii")
        except UnicodeError as error:  # idna.IDNAError is one
            raise AddressError("has a domain that cannot be internationalised") from error
    labels = domain.split(".")
    if len(labels) < 2:
        raise AddressError("has a domain without a dot")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressError("has a domain that cannot be one")
    return domain
