"""One entry of the table of reasons."""

from __future__ import annotations


def entry(means: str, fix: str) -> tuple[str, str]:
    """Return what a code means and what a person does about it."""
    return means, fix
