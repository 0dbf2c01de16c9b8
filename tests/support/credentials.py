"""How an app of a sandbox is given its credentials, and what they open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.support.callers import DISPATCH, call, codes, get_folder

if TYPE_CHECKING:
    from tests.support.keys import AppKey
    from tests.support.sandbox import SandboxProcess

SUBJECT: Final = "system:serviceaccount:mail:bridge"
"""Who the bridge is in its cluster."""


def register(sandbox: SandboxProcess, app: dict[str, Any], key: AppKey) -> None:
    """Let an app sign in by a certificate."""
    sandbox.admin(f"/apps/{app['client_id']}/certificates", method="POST", body={"pem": key.certificate_pem})


def trust(sandbox: SandboxProcess, client_id: str) -> None:
    """Let an app sign in by the cluster's tokens for the bridge."""
    body = {"issuer": sandbox.info["workload_issuer_url"], "subject": SUBJECT}
    sandbox.admin(f"/apps/{client_id}/federated", method="POST", body=body)


def workload_token(sandbox: SandboxProcess, subject: str = SUBJECT, **more: object) -> str:
    """Return a token of the cluster."""
    return str(sandbox.admin("/workload-token", method="POST", body={"subject": subject, **more})["token"])


def opens(sandbox: SandboxProcess, token: str) -> bool:
    """Whether Exchange lets the bearer of this token into the mailbox."""
    return codes(call(sandbox, get_folder(), token=token, impersonate=DISPATCH)) == ["NoError"]
