"""How many mails are asked for at once."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.batches import LARGE_FROM_BYTES, BatchLimits, Window, batches
from bridge.domain.mail import MailRef


def _refs(sizes: list[int]) -> list[MailRef]:
    return [MailRef(f"m{n}", f"i{n}", None, size, "IPM.Note") for n, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 500)), st.integers(1, 20), st.integers(1, 1_000))
def test_batches_keep_the_order_and_the_limits(sizes: list[int], count: int, size_bytes: int) -> None:
    refs = _refs(sizes)

    made = list(batches(refs, BatchLimits(count, size_bytes)))

    assert [ref for batch in made for ref in batch] == refs
    for batch in made:
        assert 1 <= len(batch) <= count
        assert len(batch) == 1 or sum(ref.size_bytes for ref in batch) <= size_bytes


def test_a_mail_larger_than_a_batch_goes_alone() -> None:
    made = list(batches(_refs([10, 900, 10]), BatchLimits(count=10, size_bytes=100)))

    assert [len(batch) for batch in made] == [1, 1, 1]


def test_a_large_mail_goes_alone_whatever_fits_beside_it() -> None:
    made = list(batches(_refs([10, LARGE_FROM_BYTES, 10, 10, LARGE_FROM_BYTES]), BatchLimits(10, 1 << 30)))

    assert [len(batch) for batch in made] == [1, 1, 2, 1]


def test_window_goes_down_to_one_and_opens_by_doubling() -> None:
    window = Window(largest=10)
    assert window.size == 10

    window.narrow()
    sizes = [window.size]
    for _ in range(5):
        window.widen()
        sizes.append(window.size)

    assert sizes == [1, 2, 4, 8, 10, 10]
