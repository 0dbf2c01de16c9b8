"""The identity of a mail."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from bridge.domain.mail import derive_message_id

_AT = datetime(2026, 11, 24, 3, 0, 7, tzinfo=UTC)


def test_message_id_is_the_same_for_the_same_mail() -> None:
    first = derive_message_id("Dispatch@Example.org", b"\x01\x02", _AT)

    again = derive_message_id(" dispatch@example.org", b"\x01\x02", _AT.astimezone(timezone(timedelta(hours=5))))

    assert again == first
    assert len(first) == 40


def test_message_id_ignores_fractions_of_a_second_that_only_one_transport_shows() -> None:
    assert derive_message_id("a@b", b"k", _AT.replace(microsecond=999_999)) == derive_message_id("a@b", b"k", _AT)


@pytest.mark.parametrize(
    ("address", "key", "moment"),
    [
        ("other@example.org", b"\x01", _AT),
        ("dispatch@example.org", b"\x02", _AT),
        ("dispatch@example.org", b"\x01", _AT + timedelta(seconds=1)),
        ("dispatch@example.org", b"\x01", None),
        ("dispatch@example.or", b"g\x01", _AT),
    ],
)
def test_another_mailbox_key_or_time_is_another_message_id(address: str, key: bytes, moment: datetime | None) -> None:
    assert derive_message_id(address, key, moment) != derive_message_id("dispatch@example.org", b"\x01", _AT)


def test_message_id_never_changes_between_versions() -> None:
    """Consumers drop repeats by it: a deploy must not give waiting mails new names."""
    assert derive_message_id("dispatch@example.org", b"\x01", _AT) == "db339f83e3d4f271448a90d5dbcdf252b7c747d9"


@pytest.mark.usefixtures("local_zone")
def test_the_time_zone_of_the_machine_has_no_say_in_a_message_id() -> None:
    assert derive_message_id("dispatch@example.org", b"\x01", _AT) == "db339f83e3d4f271448a90d5dbcdf252b7c747d9"
