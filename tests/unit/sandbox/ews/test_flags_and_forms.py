"""What a client sets is shown again, and the form that it asks for is the form that it gets."""

from __future__ import annotations

import re

import pytest

from tests.unit.sandbox.ews.conftest import ADDRESS, Ews, T, a_mail, item_ids, texts

_FLAG = "<t:Flag><t:FlagStatus>{}</t:FlagStatus>{}</t:Flag>"
_START = "<t:StartDate>2026-11-25T07:00:00Z</t:StartDate>"
_DUE = "<t:DueDate>2026-11-26T17:00:00Z</t:DueDate>"
_DONE = "<t:CompleteDate>2026-11-24T09:00:00Z</t:CompleteDate>"


def get(item: str, shape: str, *uris: str) -> str:
    more = "".join(f'<t:FieldURI FieldURI="{uri}"/>' for uri in uris)
    return (
        f"<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{shape}<t:AdditionalProperties>{more}"
        f'</t:AdditionalProperties></m:ItemShape><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:GetItem>'
    )


def set_flag(item: str, update: str) -> str:
    return (
        '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly"><m:ItemChanges><t:ItemChange>'
        f'<t:ItemId Id="{item}"/><t:Updates>{update}</t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>'
    )


def flag_of(ews: Ews, item: str) -> dict[str, str]:
    (flag,) = ews.call(get(item, "", "item:Flag")).iter(T + "Flag")
    return {str(node.tag).removeprefix(T): node.text or "" for node in flag}


def test_a_flag_keeps_its_times(ews: Ews) -> None:
    item = ews.store.deliver(ADDRESS, a_mail()).item_id
    mime = ews.store.mime(ADDRESS, item)

    def flag(status: str, times: str) -> dict[str, str]:
        path = '<t:SetItemField><t:FieldURI FieldURI="item:Flag"/><t:Message>{}</t:Message></t:SetItemField>'
        assert ews.codes(set_flag(item, path.format(_FLAG.format(status, times)))) == ["NoError"]
        return flag_of(ews, item)

    assert flag("Flagged", _START + _DUE) == {
        "FlagStatus": "Flagged", "StartDate": "2026-11-25T07:00:00Z", "DueDate": "2026-11-26T17:00:00Z",
    }  # fmt: skip
    assert flag("Flagged", _DUE) == {"FlagStatus": "Flagged", "DueDate": "2026-11-26T17:00:00Z"}
    assert flag("Complete", _DONE) == {"FlagStatus": "Complete", "CompleteDate": "2026-11-24T09:00:00Z"}
    assert flag("Complete", "").keys() == {"FlagStatus", "CompleteDate"}
    assert flag("NotFlagged", "") == {"FlagStatus": "NotFlagged"}
    flag("Flagged", _START)
    gone = '<t:DeleteItemField><t:FieldURI FieldURI="item:Flag"/></t:DeleteItemField>'
    assert ews.codes(set_flag(item, gone)) == ["NoError"]
    assert flag_of(ews, item) == {"FlagStatus": "NotFlagged"}
    assert ews.store.mime(ADDRESS, item) == mime


def test_a_mail_is_made_with_a_flag(ews: Ews) -> None:
    flag = _FLAG.format("Flagged", _DUE)
    made = ews.call(
        f'<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message>{flag}</t:Message></m:Items></m:CreateItem>'
    )

    assert flag_of(ews, item_ids(made)[0][0]) == {"FlagStatus": "Flagged", "DueDate": "2026-11-26T17:00:00Z"}


@pytest.mark.parametrize(
    ("kilobytes", "letters", "cut"), [("1", 1024, "true"), ("3", 2002, "false"), ("0", 2002, "false")]
)
def test_a_body_is_cut_where_the_client_wants_no_more(ews: Ews, kilobytes: str, letters: int, cut: str) -> None:
    item = ews.store.deliver(ADDRESS, a_mail(body="x" * 2000)).item_id
    asked = get(item, f"<t:MaximumBodySize>{kilobytes}</t:MaximumBodySize>", "item:Body", "item:TextBody")
    answer = ews.call(asked, header='<t:RequestServerVersion Version="Exchange2013"/>')
    (body,), (whole,) = answer.iter(T + "Body"), answer.iter(T + "TextBody")

    assert (len(body.text or ""), body.get("IsTruncated")) == (letters, cut)
    assert (len(whole.text or ""), whole.get("IsTruncated")) == (2002, "false")


@pytest.mark.parametrize(
    ("precision", "form"), [("Milliseconds", r"[-0-9]{10}T[:0-9]{8}\.[0-9]{3}Z"), ("Seconds", r"[-0-9]{10}T[:0-9]{8}Z")]
)
def test_times_are_as_fine_as_the_client_asks(ews: Ews, precision: str, form: str) -> None:
    item = ews.store.deliver(ADDRESS, a_mail()).item_id
    asked = get(item, "", "item:DateTimeReceived")
    header = f"<t:DateTimePrecision>{precision}</t:DateTimePrecision>"

    assert re.fullmatch(form, texts(ews.call(asked, header=header), "DateTimeReceived")[0])
    assert re.fullmatch(r"[-0-9]{10}T[:0-9]{8}Z", texts(ews.call(asked), "DateTimeReceived")[0])
    assert ews.codes(asked, header=header.replace(precision, "Minutes")) == ["ErrorSchemaValidation"]
