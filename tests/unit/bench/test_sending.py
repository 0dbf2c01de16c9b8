"""What a minute's mails say about the allowance, and about who went first."""

from __future__ import annotations

from tests.bench.sending import Sent, judged, overtakings

ASKED = {"urgent-0": 100.0}


def minute(begin: float, count: int) -> list[Sent]:
    return [Sent(f"ordinary-{begin}-{number}", begin + number * 0.125) for number in range(count)]


def test_ordinary_mail_that_goes_while_an_urgent_one_waits_is_counted() -> None:
    sent = [Sent("a", 99.0), Sent("b", 103.0), Sent("urgent-0", 104.0), Sent("c", 105.0)]

    assert overtakings(sent, ASKED) == 1


def test_ordinary_mail_that_was_on_its_way_is_no_overtaking() -> None:
    assert overtakings([Sent("a", 100.5), Sent("urgent-0", 104.0)], ASKED) == 0


def test_urgent_mails_do_not_overtake_each_other() -> None:
    both = {"urgent-0": 100.0, "urgent-1": 100.1}

    assert overtakings([Sent("urgent-0", 160.0), Sent("urgent-1", 161.5)], both) == 0


def test_allowance_that_is_used_and_kept_to_is_good() -> None:
    sent = [one for begin in (0.0, 60.0, 120.0) for one in minute(begin, 30)]

    figures = judged(sent, {}, begun=0.0, seconds=180.0)

    assert [figure.figure for figure in figures] == [100.0, 30, 0]
    assert all(figure.ok for figure in figures)


def test_allowance_that_is_wasted_or_exceeded_is_told() -> None:
    """31 within a minute that begins in the middle; and the last minute was left out."""
    sent = [*minute(0.0, 30), *minute(59.5, 1), *minute(61.0, 29)]

    share, most, _ = judged(sent, {}, begun=0.0, seconds=180.0)

    assert (most.figure, most.ok) == (31, False)
    assert share.figure is not None
    assert round(share.figure) == 67
    assert not share.ok


def test_mail_after_the_end_is_not_part_of_the_share() -> None:
    share, *_ = judged([*minute(0.0, 27), *minute(60.0, 30)], {}, begun=0.0, seconds=60.0)

    assert share.figure == 90.0
