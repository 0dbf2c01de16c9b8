"""The sample mails below `tests/mails`: made up, in every shape that dispatch meets."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "mails"


def sample(name: str) -> bytes:
    """Return the bytes of a sample mail, named without its ending."""
    return (FOLDER / f"{name}.eml").read_bytes()


def samples() -> dict[str, bytes]:
    """Return all sample mails by name."""
    return {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.eml"))}
