"""Which Exchange the sandbox is: what its answers say of the server's version, and which schema versions it serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Server:
    """One product, by its build."""

    build: tuple[int, int, int, int]
    schema: str
    """What ServerVersionInfo says in Version: the newest schema that the server has."""
    unknown_version: str
    """The response code for a RequestServerVersion that the server has no schema of."""

    @property
    def newest_schema(self) -> tuple[int, ...]:
        """The numbers in the schema's name."""
        return tuple(int(part) for part in self.schema[1:].split("_"))

    def attributes(self) -> str:
        """Return the attributes of ServerVersionInfo."""
        names = ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber")
        numbers = "".join(f' {name}="{number}"' for name, number in zip(names, self.build, strict=True))
        return f'{numbers} Version="{self.schema}"'


ONLINE: Final = Server((15, 20, 9073, 22), "V2018_01_08", "ErrorInvalidServerVersion")
# Recorded of Exchange 2019: an unknown version is an invalid request there.
ON_PREMISES: Final = Server((15, 2, 2562, 17), "V2017_07_11", "ErrorInvalidRequest")
"""Exchange Server Subscription Edition."""
