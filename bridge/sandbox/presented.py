"""
What HTTPS ports show to new connections: the certificate in force, or on purpose one that nobody should take.

What makes certificates is loaded when one is made: it is large, and that is rare.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.certificatefiles import are_checked, certificate_files, server_context
from bridge.sandbox.files import write_atomically

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from pathlib import Path

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_WRONG_HOST: Final = "wrong-host.invalid"


class Presented:
    """The TLS side of all HTTPS ports. Connections that are open keep what they were shown, as with any server."""

    def __init__(self, directory: Path) -> None:
        """Show what `directory` keeps, made where absent."""
        self._directory = directory
        if not are_checked(directory):
            from bridge.sandbox import certificates  # noqa: PLC0415 - see the top of the module

            certificates.ensure_certificates(directory)
        self._files = certificate_files(directory)
        self.ca_file = self._files.ca_file
        self.context = self._files.server_context()
        self._wrong: dict[str, ssl.SSLContext] = {}

    def expire(self) -> None:
        """Show a certificate that has ended, also after a restart, until `renew`."""
        from bridge.sandbox import certificates  # noqa: PLC0415 - see the top of the module

        certificates.expire_certificate(self._directory)
        self._show()

    def renew(self) -> datetime:
        """Show a fresh certificate under the authority in force, and return when it ends."""
        from bridge.sandbox import certificates  # noqa: PLC0415 - see the top of the module

        ends = certificates.renew_certificate(self._directory)
        self._show()
        return ends

    def add_authority(self) -> int:
        """Put a new authority in force, for the next `renew`; return how many ca.pem holds."""
        from bridge.sandbox import certificates  # noqa: PLC0415 - see the top of the module

        return certificates.add_authority(self._directory)

    def drop_old_authorities(self) -> int:
        """Leave only the authority in force in ca.pem; return how many went."""
        from bridge.sandbox import certificates  # noqa: PLC0415 - see the top of the module

        return certificates.drop_old_authorities(self._directory)

    def wrong(self, how: str) -> ssl.SSLContext:
        """Return what shows a certificate that is wrong: `expired`, `not_yet_valid`, `wrong_host` or `untrusted`."""
        if how not in self._wrong:
            self._wrong[how] = self._made_wrong(how)
        return self._wrong[how]

    def _show(self) -> None:
        self.context = self._files.server_context()
        # Made anew when next asked for: under the authority that is in force by then.
        self._wrong.clear()

    def _made_wrong(self, how: str) -> ssl.SSLContext:
        now = datetime.now(UTC)
        different: Mapping[str, dict[str, Any]] = {
            "expired": {"begins": now - 30 * _DAY, "ends": now - _HOUR},
            "not_yet_valid": {"begins": now + _DAY},
            "wrong_host": {"host": _WRONG_HOST},
            "untrusted": {},
        }
        from bridge.sandbox import certificates  # noqa: PLC0415 - see the top of the module

        authority = (
            certificates.new_authority() if how == "untrusted" else certificates.authority_in_force(self._directory)
        )
        path = self._directory / f"wrong_{how}.pem"  # the ssl module reads keys from files alone
        write_atomically(path, certificates.new_server(authority, **different[how]), sync=False)
        return server_context(path, path)
