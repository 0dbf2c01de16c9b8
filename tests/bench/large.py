"""Mails as large as Exchange carries, in and out: what the worker and its processes hold above idle."""

from __future__ import annotations

import hashlib
import random
import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.config.settings import Settings
from tests.bench.consumer import Consumer
from tests.bench.figures import Figure
from tests.bench.processes import Peak, resident_megabytes
from tests.bench.sending import Outgoing, publish
from tests.bench.stage import ALIAS, Stage, a_mail, tell
from tests.support.workers import until

_MB = 1_000_000
_MOST_SIZES = 2.5
_LIMIT_SIZES = 3
_AIM_MB = 64.0
_LOOK_SECONDS = 0.02
_TEN = 10
_PARTS = 3
_MOST_OUT_MB = 96.0


def large(*, quick: bool) -> list[Figure]:
    """One of 150 MB, ten at once, and one under a hard limit of what an idle worker has and three times the mail."""
    size = (40 if quick else 150) * _MB
    most = _MOST_SIZES * size / _MB
    names = ("large", "large-ten", "large-limited")
    units = (
        f"MB above idle, one mail of {size // _MB} MB",
        "MB above idle, ten of them",
        "MB above idle, one, with idle and three times its size as a limit",
    )
    if "blobs" not in Settings.model_fields:
        reason = "this bridge has no blob store"
        return [Figure.not_measured(name, reason, most, aim=_AIM_MB) for name in names]
    with (
        tempfile.TemporaryDirectory(prefix="bridge-bench-blobs-") as blobs,
        Stage(settings={"BLOBS__URL": Path(blobs).as_uri()}) as stage,
    ):
        taken = measure(stage, size)
    return [
        Figure.at_most(name, megabytes, unit, most, aim=_AIM_MB)
        for name, megabytes, unit in zip(names, taken, units, strict=True)
    ]


def measure(stage: Stage, size: int) -> tuple[float, float, float]:
    """Return what one mail of this size, ten of them, and one under a limit take above idle, in MB."""
    limits = {"receive_bytes": 2 * size, "send_bytes": 2 * size}
    stage.sandbox.admin("/settings", method="PUT", body=limits)
    idle = _idle(stage)
    with Consumer(stage, ALIAS) as consumer:
        one = _above(idle, stage, consumer, size, first=0)
        ten = _above(idle, stage, consumer, size, first=1, mails=_TEN)
        limited = _above(idle, stage, consumer, size, first=1 + _TEN, room=_LIMIT_SIZES * size)
    return one, ten, limited


@dataclass(frozen=True)
class Idle:
    """What a worker has that reads an empty inbox."""

    resident_megabytes: float
    data_bytes: int


def _idle(stage: Stage) -> Idle:
    with stage.worker("ingest") as worker:
        until(worker.ready, "the worker to read", seconds=120)
        idle = Idle(resident_megabytes(worker.pid), _data_bytes(worker.pid))
        worker.stop(seconds=60)
    return idle


def _above(
    idle: Idle, stage: Stage, consumer: Consumer, size: int, *, first: int, mails: int = 1, room: int | None = None
) -> float:
    for _ in stage.deliver(a_mail(number, size=size) for number in range(first, first + mails)):
        pass
    # Started with all of them there, so that ten are at once.
    with stage.worker("ingest") as worker:
        if room is not None:
            # Of its own memory: code and files that are mapped do not count. Its children inherit the limit.
            limit = idle.data_bytes + room
            resource.prlimit(worker.pid, resource.RLIMIT_DATA, (limit, limit))
        with Peak(worker.pid, every_seconds=_LOOK_SECONDS) as peak:
            consumer.until(first + mails, seconds=900)
        if unread := worker.metric("bridge_ingest_unread_mails_total"):
            raise RuntimeError(f"{unread:.0f} mails took too long, and were published unread: not what is measured")
        worker.stop(seconds=60)
    above = (peak.megabytes - idle.resident_megabytes) * 1024**2 / _MB
    tell(f"large: {mails} of {size // _MB} MB: {idle.resident_megabytes:.0f} MB idle, {above:.0f} MB more at the worst")
    return above


def _data_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))


def large_out(*, quick: bool) -> list[Figure]:
    """A request with three stored attachments, 100 MB together, which go out one by one (quick: 60 MB)."""
    size = (60 if quick else 100) * _MB
    with (
        tempfile.TemporaryDirectory(prefix="bridge-bench-blobs-") as blobs,
        Stage(settings={"BLOBS__URL": Path(blobs).as_uri()}) as stage,
    ):
        limits = {"receive_bytes": 2 * size, "send_bytes": 2 * size}
        stage.sandbox.admin("/settings", method="PUT", body=limits)
        attachments = [_stored(Path(blobs), f"{number}.bin", size // _PARTS) for number in range(_PARTS)]
        with stage.worker("egress") as worker:
            until(worker.ready, "the worker to drain", seconds=120)
            sent = Outgoing(stage, lambda: worker.running)
            publish(stage, ["first"])  # with the proof of the first send
            sent.until(1)
            idle = resident_megabytes(worker.pid)
            with Peak(worker.pid, every_seconds=_LOOK_SECONDS) as peak:
                publish(stage, ["large"], attachments=attachments)
                sent.until(2)
            worker.stop(seconds=60)
    above = (peak.megabytes - idle) * 1024**2 / _MB
    tell(f"large-out: {size // _MB} MB in parts: {idle:.0f} MB idle, {above:.0f} MB more at the worst")
    unit = f"MB above idle, a mail of {size // _MB} MB out"
    return [Figure.at_most("large-out", above, unit, _MOST_OUT_MB, aim=_AIM_MB)]


def _stored(store: Path, name: str, size: int) -> dict[str, Any]:
    digest = hashlib.sha256()
    with (store / name).open("wb") as file:
        for _ in range(size // _MB):
            piece = random.randbytes(_MB)
            digest.update(piece)
            file.write(piece)
    blob = {"url": f"{store.as_uri()}/{name}", "size": size // _MB * _MB, "sha256": digest.hexdigest()}
    return {"name": name, "content_type": "application/octet-stream", "blob": blob}
