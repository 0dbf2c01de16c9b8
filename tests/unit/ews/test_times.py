"""Times as EWS writes them."""

from datetime import UTC, datetime

import pytest

from bridge.adapters.ews.times import parse_time, to_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T03:00:07Z", datetime(2026, 11, 24, 3, 0, 7, tzinfo=UTC)),
        ("2026-11-24T03:00:07.123456789Z", datetime(2026, 11, 24, 3, 0, 7, tzinfo=UTC)),
        ("2026-11-24T05:00:07+02:00", datetime(2026, 11, 24, 3, 0, 7, tzinfo=UTC)),
        ("2026-11-23T22:30:07-04:30", datetime(2026, 11, 24, 3, 0, 7, tzinfo=UTC)),
        (" 2026-11-24T03:00:07 ", datetime(2026, 11, 24, 3, 0, 7, tzinfo=UTC)),
        ("2026-13-24T03:00:07Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_a_time_is_read_or_none(text: str | None, expected: datetime | None) -> None:
    assert parse_time(text) == expected


def test_a_time_is_written_in_utc_and_whole_seconds() -> None:
    assert to_text(datetime(2026, 11, 24, 3, 0, 7, 999, tzinfo=UTC)) == "2026-11-24T03:00:07Z"


@pytest.mark.usefixtures("local_zone")
def test_the_time_zone_of_the_machine_has_no_say_in_a_time() -> None:
    moment = datetime(2026, 7, 24, 3, 0, 7, tzinfo=UTC)

    assert parse_time("2026-07-24T03:00:07") == moment
    assert parse_time("2026-07-24T03:00:07Z") == moment
    assert parse_time("2026-07-24T05:00:07+02:00") == moment
    assert to_text(moment) == "2026-07-24T03:00:07Z"
    assert to_text(moment.astimezone()) == "2026-07-24T03:00:07Z"
