"""Why a guess cannot be checked here."""

from __future__ import annotations


class NotCheckable(Exception):  # noqa: N818 - named after what happened
    """The step could not find out; its text says why, and holds nothing private."""
