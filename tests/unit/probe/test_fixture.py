"""What a probe removes is its own, whatever a server lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from xml.sax.saxutils import escape

import pytest
from lxml import etree

from bridge.adapters.ews.soap import MESSAGES, TYPES, T
from bridge.probe import fixture as fixture_module
from bridge.probe.errors import NotCheckable
from bridge.probe.fixture import ProbeFixture
from bridge.probe.wire import Answer, Target, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

_RUN = "0123456789abcdef"


def answer(content: str, code: str = "NoError") -> Answer:
    tree = etree.fromstring(
        f'<m:R xmlns:m="{MESSAGES}" xmlns:t="{TYPES}"><m:ResponseMessages><m:M ResponseClass="Success">'
        f"<m:ResponseCode>{code}</m:ResponseCode>{content}</m:M></m:ResponseMessages></m:R>"
    )
    return Answer(200, {}, (), b"", tree)


def listed(subjects: dict[str, str]) -> Answer:
    return answer("".join(
        f'<t:Message><t:ItemId Id="{one}" ChangeKey="k"/><t:Subject>{escape(subject)}</t:Subject></t:Message>'
        for one, subject in subjects.items()
    ))  # fmt: skip


class Server:
    """Lists all mails of every folder whatever is searched for, and deletes what it is told to."""

    def __init__(self, mails: dict[str, str], *, deletes: bool = True) -> None:
        self.target = Target("https://localhost/", "box@example.org", None, 1.0)
        self.mails = mails
        self.deleted: list[str] = []
        self._deletes = deletes

    def call(self, body: etree._Element, **_: Any) -> Answer:
        match str(body.tag).rpartition("}")[2]:
            case "FindItem":
                return listed(self.mails)
            case "DeleteItem":
                for found in body.iter(f"{T}ItemId"):
                    self.deleted.append(found.get("Id") or "")
                    if self._deletes:
                        self.mails.pop(found.get("Id") or "", None)
                return answer("")
            case _:
                return answer("")


def fixture_on(server: Server, announce: Callable[[str], None] = lambda _: None) -> ProbeFixture:
    made = ProbeFixture(cast("Wire", server), announce, run=_RUN, arrival_seconds=0.0)
    made.will_arrive(f"Bridge probe {_RUN} 1")
    return made


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixture_module, "_WAITS_SECONDS", (0.0, 0.0))


def test_a_server_that_lists_everything_loses_the_probe_s_mails_alone() -> None:
    own = {"o1": f"Bridge probe {_RUN} 1", "o2": f"Bridge probe {_RUN} 12"}
    others = {
        "x1": "Quarterly figures",
        "x2": f"Re: Bridge probe {_RUN} 1",
        "x3": f"Undeliverable: Bridge probe {_RUN} 1",
        "x4": "Bridge probe fedcba9876543210 1",
        "x5": f"Bridge probe {_RUN}0 1",
        "x6": "",
    }
    server = Server({**others, **own})

    left = fixture_on(server).clean()

    assert left == []
    assert sorted(server.deleted) == ["o1", "o2"]
    assert server.mails == others


def test_mails_that_stay_though_they_were_deleted_are_told() -> None:
    server = Server({"o1": f"Bridge probe {_RUN} 1"}, deletes=False)

    left = fixture_on(server).clean()

    assert any("mails in inbox" in one and "still there" in one for one in left)


def test_a_mail_that_did_not_arrive_in_time_is_told() -> None:
    assert fixture_on(Server({})).clean() == ["1 mail(s) that were sent to the mailbox itself and have not arrived"]


def test_a_probe_that_wrote_nothing_asks_for_nothing_when_it_cleans() -> None:
    class Silent(Server):
        def call(self, body: etree._Element, **_: Any) -> Answer:
            raise AssertionError(body.tag)

    assert ProbeFixture(cast("Wire", Silent({})), lambda _: None).clean() == []


def test_every_send_and_the_folder_are_announced_before_they_are_made() -> None:
    said: list[str] = []

    class Refusing(Server):
        def call(self, body: etree._Element, **_: Any) -> Answer:
            said.append(str(body.tag).rpartition("}")[2])
            return answer("", code="ErrorAccessDenied")

    fixture = ProbeFixture(cast("Wire", Refusing({})), said.append, run=_RUN)
    with pytest.raises(NotCheckable, match="CreateFolder answers ErrorAccessDenied"):
        fixture.folder()
    with pytest.raises(NotCheckable, match="SendItem answers ErrorAccessDenied"):
        fixture.send(("id", "key"), f"Bridge probe {_RUN} 1")

    assert [one.split()[0] for one in said] == ["writing:", "CreateFolder", "writing:", "SendItem"]
