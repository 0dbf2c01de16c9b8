"""Waits of the workers' loops."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest

import bridge
from bridge.domain.disposition import RetryPolicy
from bridge.flow.waiting import Backoff, wait_for_any


async def test_a_wait_that_is_cancelled_ends_whatever_is_set_meanwhile() -> None:
    """A task that survives its cancellation holds up the end of a worker that has met a bug."""
    for turns in range(12):
        event = asyncio.Event()

        async def wait(event: asyncio.Event = event) -> None:
            await wait_for_any(60, event)
            await asyncio.Event().wait()

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        event.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()

        done, _ = await asyncio.wait({task}, timeout=1)

        assert done
        assert task.cancelled()


@pytest.mark.parametrize(
    ("ways", "waits"),
    [
        (1, [1.0, 2.0, 4.0, 8.0, 8.0]),
        (3, [0.0, 0.0, 1.0, 2.0, 2.0, 2.0, 4.0]),
    ],
)
def test_of_several_nodes_each_is_tried_once_before_the_first_wait(ways: int, waits: list[float]) -> None:
    backoff = Backoff(RetryPolicy(first_seconds=1.0, longest_seconds=8.0, spread_factors=(1.0, 1.0)))

    assert [backoff.wait_seconds(ways=ways) for _ in waits] == waits

    backoff.forget()

    assert [backoff.wait_seconds(ways=ways) for _ in waits] == waits


def test_waits_grow_in_one_place_alone() -> None:
    """A second back-off would differ from the first one in what it spreads, and in what ends it."""
    root = Path(bridge.__file__).parent
    growing = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "sandbox" not in path.relative_to(root).parts and _grows(ast.parse(path.read_text()))
    }

    # The probe looks for a mail that has yet to arrive: nothing failed.
    assert growing - {"probe/fixture.py"} == {"domain/disposition.py"}


def _grows(module: ast.Module) -> bool:
    """Whether a power of two is computed, or a wait is made from itself times a number."""
    return any(_is_power_of_two(node) or _is_wait_that_grows(node) for node in ast.walk(module))


def _is_power_of_two(node: ast.AST) -> bool:
    match node:
        case ast.BinOp(left=ast.Constant(value=2 | 2.0), op=ast.Pow()):
            return True
        case _:
            return False


def _is_wait_that_grows(node: ast.AST) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name(id="wait" | "pause" as name)], value=ast.Call() as value):
            products = [one for one in ast.walk(value) if isinstance(one, ast.BinOp) and isinstance(one.op, ast.Mult)]
            return any(isinstance(one.left, ast.Name) and one.left.id == name for one in products)
        case _:
            return False
