"""
Runs exchangelib's own tests, which were written against real Exchange servers, against the sandbox.

    python -m tests.foreign.exchangelib.run                       all of them
    python -m tests.foreign.exchangelib.run test_folder.py        one of the files
    python -m tests.foreign.exchangelib.run -k test_move          those with such a name
    python -m tests.foreign.exchangelib.run --write               writes the table anew; reasons that hold are kept

The tests are those of Debian's source package (source.py), with the library as it is there; nothing of it is kept
here. `expected.tsv` says of each test how it ends and why: the run fails when one ends otherwise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.foreign.exchangelib.source import NoSourceError, cache_folder, needed_modules, unpack
from tests.foreign.exchangelib.table import TABLE, Ends, otherwise, read_table, write_table
from tests.support.sandbox import SandboxProcess

_HERE = Path(__file__).parent
_MAILBOX = "exchangelib@example.org"
# What concerns mail, and what a client does before it comes to mail.
MAIL_PART = (
    "test_account.py", "test_attachments.py", "test_autodiscover.py", "test_extended_properties.py", "test_field.py",
    "test_folder.py", "test_properties.py", "test_protocol.py", "test_queryset.py", "test_restriction.py",
    "test_services.py", "test_items/test_basics.py", "test_items/test_bulk.py", "test_items/test_generic.py",
    "test_items/test_helpers.py", "test_items/test_messages.py", "test_items/test_queryset.py",
    "test_items/test_sync.py",
)  # fmt: skip
OTHER_ITEMS = ("test_items/test_calendaritems.py", "test_items/test_contacts.py", "test_items/test_tasks.py")
# What tests exchangelib alone. It shows that the library works as it is run here, which the other parts rest on.
LIBRARY = (
    "test_build.py", "test_configuration.py", "test_credentials.py", "test_errors.py", "test_ewsdatetime.py",
    "test_recurrence.py", "test_source.py", "test_transport.py", "test_util.py", "test_version.py",
)  # fmt: skip
FILES = (*MAIL_PART, *OTHER_ITEMS, *LIBRARY)
# Exchange's answer to a send takes longer than its copy takes to Sent Items, where some tests look at once.
_SLOW_SENDS = {"match": {"operation": ["CreateItem", "SendItem"]}, "fault": {"kind": "late_answer", "seconds": 0.1}}
_SECONDS_FOR_A_TEST = 60
_SECONDS_FOR_ALL = 900


def run_tests(folder: Path, files: Sequence[str] = FILES, options: Sequence[str] = ()) -> Ends:
    """
    Return how the tests of these files end against a fresh sandbox; `folder` is an empty one for the run.

    Raises:
        NoSourceError: Their source is not to be had.
    """
    cache = cache_folder()
    source, needed = unpack(cache, folder), needed_modules(cache)
    results = folder / "results.tsv"
    with (
        SandboxProcess(folder / "sandbox", mailboxes=[_MAILBOX], on_premises=True) as sandbox,
        _host_of_the_internet() as host,
    ):
        (source / "settings.yml").write_text(_settings(sandbox))
        sandbox.faults(_SLOW_SENDS)
        environment = {
            **{key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")},
            "PYTHONPATH": os.pathsep.join((str(source), str(_HERE), str(needed))),
            "EXCHANGELIB_RESULTS": str(results),
            "EXCHANGELIB_HOST": host,
            "PYTHONWARNINGS": "ignore",
            "PYTHONHASHSEED": "0",
            "TZ": "Europe/Copenhagen",
        }
        # How pytest was called for the tests around it is no concern of these.
        for name in [name for name in environment if name.startswith("PYTEST_")]:
            del environment[name]
        subprocess.run(
            [
                sys.executable, "-m", "pytest", "-q", "-p", "recorder", "-p", "no:cacheprovider", "-p", "no:xdist",
                f"--rootdir={source}", "--confcutdir", str(source), "--timeout", str(_SECONDS_FOR_A_TEST),
                "--tb=short", *options, *(str(source / "tests" / name) for name in files),
            ],
            cwd=source, env=environment, timeout=_SECONDS_FOR_ALL, check=False,
        )  # fmt: skip
    return read_table(results)


class _Page(BaseHTTPRequestHandler):
    """Answers with nothing, on connections that stay open."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of it."""


@contextmanager
def _host_of_the_internet() -> Iterator[str]:
    """Yield where a host answers that one of the tests wants to be there; recorder.py gives it that host's name."""
    # Its address is no other server's here: the test counts the connections to it.
    with ThreadingHTTPServer(("127.0.0.2", 0), _Page) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "{}:{}".format(*server.server_address[:2])
        server.shutdown()


def _settings(sandbox: SandboxProcess) -> str:
    account = next(one for one in sandbox.info["mailboxes"] if one["address"] == _MAILBOX)
    server = sandbox.info["ews_url"].split("/")[2]
    return (
        f"server: '{server}'\nautodiscover_server: '{server}'\nusername: '{account['username']}'\n"
        f"password: '{account['password']}'\naccount: '{_MAILBOX}'\nalias: '{_MAILBOX}'\nverify_ssl: False\n"
    )


def main() -> int:
    """Run, compare with the table, and say the counts; 1 when a test ended otherwise than the table says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table anew")
    parser.add_argument("-k", dest="only", help="pytest's -k")
    parser.add_argument("files", nargs="*", default=FILES, help="test files, all if none")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        try:
            ended = run_tests(Path(temporary), arguments.files, ["-k", arguments.only] if arguments.only else [])
        except NoSourceError as error:
            print(error, file=sys.stderr)
            return 2
    if not ended:
        print("no test ran", file=sys.stderr)
        return 2
    expected = read_table(TABLE)
    counts = {kind: sum(outcome == kind for outcome, _ in ended.values()) for kind in ("passes", "fails", "skips")}
    print(", ".join(f"{number} {kind}" for kind, number in counts.items()), f"of {len(ended)}")
    drift = otherwise(expected, ended)
    print("\n".join(drift))
    if arguments.write:
        write_table(TABLE, expected, ended)
    return int(bool(drift) and not arguments.write)


if __name__ == "__main__":
    sys.exit(main())
