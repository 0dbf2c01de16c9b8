"""What a node is shown of the plugins that are installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.demo.broker_plugins import only

if TYPE_CHECKING:
    from pathlib import Path


def _installed(home: Path, **needs: str) -> Path:
    (home / "sbin").mkdir(parents=True)
    (home / "sbin" / "rabbitmq-server").touch()
    for name, needed in needs.items():
        folder = home / "plugins" / f"{name}-4.0.5" / "ebin"
        folder.mkdir(parents=True)
        (folder / f"{name}.app").write_text(f'{{application,{name},[\n {{vsn,"1"}},\n {{applications, [{needed}]}}]}}.')
    return home / "sbin"


def test_a_plugin_brings_what_it_needs_and_the_server(tmp_path: Path) -> None:
    scripts = _installed(
        tmp_path / "home",
        rabbit="kernel,ra",
        ra="stdlib",
        oauth="rabbit,\n jose",
        jose="crypto",
        jose_more="",
        web="rabbit",
    )

    shown = only(["oauth"], scripts=scripts, into=tmp_path / "shown")

    assert shown == tmp_path / "shown"
    assert {path.name for path in shown.iterdir()} == {f"{name}-4.0.5" for name in ("rabbit", "ra", "oauth", "jose")}
    assert (shown / "oauth-4.0.5" / "ebin" / "oauth.app").exists()


def test_another_start_shows_what_is_wanted_then(tmp_path: Path) -> None:
    scripts = _installed(tmp_path / "home", rabbit="kernel", web="rabbit")
    only(["web"], scripts=scripts, into=tmp_path / "shown")

    shown = only([], scripts=scripts, into=tmp_path / "shown")

    assert shown is not None
    assert [path.name for path in shown.iterdir()] == ["rabbit-4.0.5"]
    assert (tmp_path / "home" / "plugins" / "web-4.0.5" / "ebin" / "web.app").exists()


def test_all_are_shown_where_they_are_installed_in_another_way(tmp_path: Path) -> None:
    scripts = _installed(tmp_path / "home", web="rabbit")

    assert only([], scripts=scripts, into=tmp_path / "shown") is None
