"""Samples become shares: by the function at work, and by the part of the bridge that it works for."""

from __future__ import annotations

from collections import Counter

from tests.bench.profile import innermost, of, part

_MAIN = "run (/x/lib/python3.11/asyncio/base_events.py:9)"
_MIME = "read (/x/bridge/mime/headers.py:57)"
_BASE64 = "b64decode (/x/lib/python3.11/base64.py:65)"
_IMPORT = "_find_and_load (<frozen importlib._bootstrap>:1165)"


def test_the_innermost_function_is_at_work_for_the_innermost_part_of_the_bridge() -> None:
    stacks = Counter({(_MAIN, _MIME, _BASE64): 3, (_MAIN, _MIME): 1, (_MAIN,): 2, (_MAIN, _IMPORT, _MIME): 4, ("",): 5})

    assert of(stacks, innermost) == {
        "b64decode (python3.11/base64.py)": 3,
        "read (mime/headers.py)": 1,
        "run (asyncio/base_events.py)": 2,
        "loading modules": 4,
        "a thread that begins or ends": 5,
    }
    assert of(stacks, part) == {"mime": 4, "the interpreter, asyncio": 7, "loading modules": 4}


def test_what_a_library_does_counts_for_who_called_it() -> None:
    library = "dump (/x/.venv/lib/python3.11/site-packages/bridge/y.py:1)"

    assert part((_MAIN, "send (/x/bridge/wire/inbound_v1.py:3)", library)) == "wire"
    assert part((_MAIN, "main (/x/bridge/bootstrap/process.py:3)")) == "bootstrap"
