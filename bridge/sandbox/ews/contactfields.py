"""The properties of contacts and of distribution lists."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews import values, xml
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.field import Field
from bridge.sandbox.store import personal as k

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lxml import etree

    from bridge.sandbox.ews.field import Take
    from bridge.sandbox.ews.view import View
    from bridge.sandbox.store import properties as p

_ALL = "gf"
_EVERYWHERE = "GgFf"
_FILE_AS: Final = (
    "None", "LastCommaFirst", "FirstSpaceLast", "Company", "LastCommaFirstCompany", "CompanyLastFirst", "LastFirst",
    "LastFirstCompany", "CompanyLastCommaFirst", "LastFirstSuffix", "LastSpaceFirstCompany", "CompanyLastSpaceFirst",
    "LastSpaceFirst", "DisplayName", "FirstName", "LastFirstMiddleSuffix", "LastName", "Empty",
)  # fmt: skip
_DICTIONARIES: Final[Mapping[str, Mapping[str, str]]] = {
    "PhoneNumbers": k.PHONES,
    "ImAddresses": k.IM_ADDRESSES,
}
_MOST_MEMBERS: Final = 5000


def _text(element: str, key: str, shapes: str = _ALL, **more: Any) -> Field:
    return Field(f"contacts:{element}", element, shapes, key, settable=True, **more)


def _read_only(element: str, render: Callable[[View], str], shapes: str = _ALL, **more: Any) -> Field:
    return Field(f"contacts:{element}", element, shapes, render=render, **more)


def strings_xml(element: str, key: str) -> Callable[[View], str]:
    """Return what renders a list of texts."""

    def render(view: View) -> str:
        found = view.item.bag.get(key)
        return f"<t:{element}>{''.join(xml.element('String', one) for one in found)}</t:{element}>" if found else ""

    return render


def take_strings(key: str) -> Take:
    """Return what reads a list of texts."""

    def take(node: etree._Element, bag: p.Bag, _gone: set[str]) -> None:
        bag[key] = [one.text or "" for one in node.iter(xml.T + "String")]

    return take


def _entry(key: str, text: str | None, more: str = "") -> str:
    return "" if not text else f'<t:Entry Key="{key}"{more}>{xml.text(text)}</t:Entry>'


def _entries(element: str, only: frozenset[str] | None) -> Callable[[View], str]:
    """Return what renders a dictionary, or the entries of it that are named."""

    def render(view: View) -> str:
        bag = view.item.bag
        if element == "EmailAddresses":
            listed = "".join(_email(bag, name) for name in k.EMAILS if only is None or name in only)
        elif element == "PhysicalAddresses":
            listed = "".join(_address(bag, name, only) for name in k.PHYSICAL_ADDRESSES)
        else:
            keys = _DICTIONARIES[element]
            listed = "".join(_entry(name, bag.get(key)) for name, key in keys.items() if only is None or name in only)
        return f"<t:{element}>{listed}</t:{element}>" if listed else ""

    return render


def _email(bag: p.Bag, name: str) -> str:
    address, shown, routing = (bag.get(key) for key in k.EMAILS[name])
    more = (f' Name="{xml.attribute(shown)}"' if shown else "") + (
        f' RoutingType="{xml.attribute(routing)}" MailboxType="Contact"' if routing else ""
    )
    return _entry(name, address, more)


def _address(bag: p.Bag, name: str, only: frozenset[str] | None) -> str:
    parts = "".join(
        xml.element(part, bag[key])
        for part, key in k.PHYSICAL_ADDRESSES[name].items()
        if bag.get(key) and (only is None or f"{part}:{name}" in only)
    )
    return f'<t:Entry Key="{name}">{parts}</t:Entry>' if parts else ""


def _take_entries(node: etree._Element, bag: p.Bag, gone: set[str]) -> None:
    element = str(node.tag).rpartition("}")[2]
    for entry in node.iter(xml.T + "Entry"):
        name = str(entry.get("Key"))
        for key, value in _entry_values(element, name, entry):
            if value:
                bag[key] = value
                gone.discard(key)
            else:
                gone.add(key)


def _entry_values(element: str, name: str, entry: etree._Element) -> Iterator[tuple[str, str | None]]:
    if element == "EmailAddresses":
        address, shown, routing = k.EMAILS[name]
        yield address, entry.text
        yield shown, entry.get("Name") or entry.text
        yield routing, (entry.get("RoutingType") or "SMTP") if entry.text else None
    elif element == "PhysicalAddresses":
        for part, key in k.PHYSICAL_ADDRESSES[name].items():
            found = entry.find(xml.T + part)
            if found is not None:
                yield key, found.text
    else:
        known = _DICTIONARIES[element].get(name)
        if known is None:
            raise EwsError("ErrorInvalidPropertySet", xml=f'<t:FieldURI FieldURI="contacts:{element}"/>')
        yield known, entry.text


def _dictionary(element: str) -> Field:
    return Field(
        f"contacts:{element}", element, _EVERYWHERE, render=_entries(element, None), settable=True, take=_take_entries
    )


def _indexed(
    prefix: str, element: str, keys: Mapping[str, str], more: Mapping[str, tuple[str, ...]] | None = None
) -> Iterator[Field]:
    for name, key in keys.items():
        gone = (more or {}).get(name, (key,))
        yield Field(f"{prefix}:{name}", element, "", key, settable=True, take=_take_entries, gone=gone)


INDEXED_FIELDS: Final[Sequence[Field]] = (
    *_indexed("contacts:EmailAddress", "EmailAddresses", {name: keys[0] for name, keys in k.EMAILS.items()}, k.EMAILS),
    *_indexed("contacts:PhoneNumber", "PhoneNumbers", k.PHONES),
    *_indexed("contacts:ImAddress", "ImAddresses", k.IM_ADDRESSES),
    *(
        Field(
            f"contacts:PhysicalAddress:{part}:{name}", "PhysicalAddresses", "", key, settable=True, take=_take_entries
        )
        for name, parts in k.PHYSICAL_ADDRESSES.items()
        for part, key in parts.items()
    ),
)
"""The entries of dictionaries, each a property of its own to restrictions, sort orders and updates."""


def partial(field: Field, wanted: frozenset[str]) -> Field | None:
    """Return a dictionary that shows the wanted entries alone; None where none is wanted, or it is no dictionary."""
    names = frozenset(
        ":".join(one.uri.split(":")[2:]) for one in INDEXED_FIELDS if one.element == field.element and one.uri in wanted
    )
    return replace(field, render=_entries(field.element, names)) if names else None


def _complete_name(view: View) -> str:
    bag = view.item.bag
    parts = {
        "Title": k.TITLE, "FirstName": k.GIVEN_NAME, "MiddleName": k.MIDDLE_NAME, "LastName": k.SURNAME,
        "Suffix": k.GENERATION, "Initials": k.INITIALS, "FullName": k.DISPLAY_NAME, "Nickname": k.NICKNAME,
    }  # fmt: skip
    shown = "".join(xml.element(part, bag[key]) for part, key in parts.items() if bag.get(key))
    return f"<t:CompleteName>{shown}</t:CompleteName>" if shown else ""


def _phonetic(view: View) -> str:
    bag = view.item.bag
    full = " ".join(bag[key] for key in (k.PHONETIC_GIVEN, k.PHONETIC_SURNAME) if bag.get(key))
    return xml.element("PhoneticFullName", full) if full else ""


_SOURCE: Final = _read_only("ContactSource", lambda _view: "<t:ContactSource>Store</t:ContactSource>")
_DISPLAY_NAME: Final = _text("DisplayName", k.DISPLAY_NAME)
_FILED: Final = _text("FileAs", k.FILE_AS, _EVERYWHERE)


def _nothing(element: str) -> Field:
    """Return a property that only contacts of the directory have."""
    return _read_only(element, lambda _view: "", "")


CONTACT_FIELDS: Final[Sequence[Field]] = (
    _FILED,
    _text("FileAsMapping", k.FILE_AS_ID, kind=values.choice(*_FILE_AS)),
    _DISPLAY_NAME,
    _text("GivenName", k.GIVEN_NAME),
    _text("Initials", k.INITIALS),
    _text("MiddleName", k.MIDDLE_NAME),
    _text("Nickname", k.NICKNAME),
    _read_only("CompleteName", _complete_name, _EVERYWHERE),
    _text("CompanyName", k.COMPANY, _EVERYWHERE),
    _dictionary("EmailAddresses"),
    _dictionary("PhysicalAddresses"),
    _dictionary("PhoneNumbers"),
    _text("AssistantName", k.ASSISTANT),
    _text("Birthday", k.BIRTHDAY, kind=values.TIME),
    _text("BusinessHomePage", k.HOMEPAGE),
    Field("contacts:Children", "Children", _ALL, k.CHILDREN, render=strings_xml("Children", k.CHILDREN), settable=True,
          take=take_strings(k.CHILDREN)),
    Field("contacts:Companies", "Companies", _ALL, k.COMPANIES, render=strings_xml("Companies", k.COMPANIES),
          settable=True, take=take_strings(k.COMPANIES)),
    _SOURCE,
    _text("Department", k.DEPARTMENT),
    _text("Generation", k.GENERATION),
    _dictionary("ImAddresses"),
    _text("JobTitle", k.JOB_TITLE, _EVERYWHERE),
    _text("Manager", k.MANAGER),
    _text("Mileage", k.MILEAGE),
    _text("OfficeLocation", k.OFFICE),
    _text("PostalAddressIndex", k.POSTAL_INDEX, kind=values.choice("None", "Home", "Business", "Other"), default=0),
    _text("Profession", k.PROFESSION),
    _text("SpouseName", k.SPOUSE),
    _text("Surname", k.SURNAME),
    _text("WeddingAnniversary", k.ANNIVERSARY, kind=values.TIME),
    Field("contacts:HasPicture", "HasPicture", _ALL, k.HAS_PICTURE, values.BOOLEAN, default=False),
    _read_only("PhoneticFullName", _phonetic, ""),
    Field("contacts:PhoneticFirstName", "PhoneticFirstName", "", k.PHONETIC_GIVEN),
    Field("contacts:PhoneticLastName", "PhoneticLastName", "", k.PHONETIC_SURNAME),
    *map(_nothing, (
        "Alias", "Notes", "Photo", "UserSMIMECertificate", "MSExchangeCertificate", "DirectoryId", "ManagerMailbox",
        "DirectReports",
    )),
)  # fmt: skip
"""In the schema's order."""


def member_key(member: Sequence[str]) -> str:
    """Return the key by which one member of a list can be taken out of it."""
    return b64encode(sha256("\0".join(member).encode("utf-8", "replace")).digest()[:24]).decode()


def _members(view: View) -> str:
    listed = "".join(
        f'<t:Member Key="{member_key(one)}"><t:Mailbox>{xml.element("Name", one[0] or one[1])}'
        f"<t:EmailAddress>{xml.text(one[1])}</t:EmailAddress><t:RoutingType>{xml.text(one[2])}</t:RoutingType>"
        f"<t:MailboxType>{one[3]}</t:MailboxType></t:Mailbox><t:Status>Normal</t:Status></t:Member>"
        for one in view.item.bag.get(k.MEMBERS) or ()
    )
    return f"<t:Members>{listed}</t:Members>" if listed else ""


def _take_members(node: etree._Element, bag: p.Bag, _gone: set[str]) -> None:
    found = []
    for mailbox in node.iter(xml.T + "Mailbox"):
        address = (mailbox.findtext(xml.T + "EmailAddress") or "").strip()
        if not address:
            raise EwsError("ErrorInvalidRecipients")
        name = mailbox.findtext(xml.T + "Name") or address
        routing = mailbox.findtext(xml.T + "RoutingType") or "SMTP"
        found.append([name, address, routing, mailbox.findtext(xml.T + "MailboxType") or "OneOff"])
    if len(found) > _MOST_MEMBERS:
        raise EwsError("ErrorInvalidPropertySet", xml='<t:FieldURI FieldURI="distributionlist:Members"/>')
    bag[k.MEMBERS] = found


LIST_FIELDS: Final[Sequence[Field]] = (
    _DISPLAY_NAME,
    _FILED,
    _SOURCE,
    Field("distributionlist:Members", "Members", "Gg", k.MEMBERS, render=_members, settable=True, take=_take_members),
)
