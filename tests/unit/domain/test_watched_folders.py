"""A folder has many names and one id."""

from __future__ import annotations

import pytest

from bridge.adapters.ews.ledger_folder import FOLDER as LEDGER_FOLDER
from bridge.config import rules
from bridge.domain.parking import PARKED_FOLDER
from bridge.domain.watched_folders import OWN_FOLDERS, folder_conflict, folder_path

_ELSEWHERE = {"id-sent": "sentitems"}
_OWN = {"id-parked": "Bridge Parked"}


@pytest.mark.parametrize(
    ("watched", "target", "told"),
    [
        (["id-inbox"], None, None),
        (["id-inbox", None, "id-junk"], "id-done", None),
        (["id-inbox"], "id-sent", None),
        (["id-inbox", "id-junk"], "id-junk", "after_publish moves mail into folders[1]"),
        (["id-inbox", "id-junk", "id-inbox"], None, "folders[0] and folders[2] are one folder"),
        (["id-inbox", "id-sent"], None, "folders[1] is sentitems"),
        (["id-parked"], None, "folders[0] is Bridge Parked"),
        (["id-inbox"], "id-parked", "after_publish moves mail into Bridge Parked"),
        ([None, None], None, None),
    ],
)
def test_folders_are_compared_by_id(watched: list[str | None], target: str | None, told: str | None) -> None:
    conflict = folder_conflict(watched, target, elsewhere=_ELSEWHERE, own=_OWN)

    assert (conflict or "").startswith(told or "")
    assert (conflict is None) == (told is None)


def test_the_bridges_own_folders_are_those_that_it_makes() -> None:
    assert set(OWN_FOLDERS) == {PARKED_FOLDER, LEDGER_FOLDER}


@pytest.mark.parametrize("name", ["inbox", "/inbox", "Inbox/", "//INBOX//"])
def test_slashes_and_letters_make_no_other_folder(name: str) -> None:
    assert folder_path(name) == "inbox"


@pytest.mark.parametrize("name", [*OWN_FOLDERS, "bridge parked/", "/Bridge Sends"])
def test_a_configuration_names_none_of_the_bridges_own_folders(name: str) -> None:
    with pytest.raises(ValueError, match="folder"):
        rules.folders((name,))
    with pytest.raises(ValueError, match="the bridge's own"):
        rules.after_publish(f"move:{name}")


@pytest.mark.parametrize("names", [("inbox", "Inbox/"), ("drafts/",), ("/sentitems",)])
def test_a_configuration_names_no_folder_twice_and_none_without_arriving_mail(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="folder"):
        rules.folders(names)


def test_mails_are_not_moved_to_no_folder_at_all() -> None:
    with pytest.raises(ValueError, match="no way to remove"):
        rules.after_publish("move:/")
