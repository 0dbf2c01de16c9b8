"""
A private RabbitMQ node: own ports, own directories, own epmd, loopback only.

It touches no broker that is already on the machine, runs as any user, and leaves no process behind, also when its
owner is killed: a guard process holds the reading end of a pipe and ends the whole group when the pipe closes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.adapters.rabbitmq.login import try_login
from bridge.demo.broker_calls import control, evaluate
from bridge.demo.broker_files import USER, BrokerNodeError, NodeFiles, erlang_program
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

__all__ = ["BrokerNode", "BrokerNodeError", "main"]

# Ends the process group that it leads, itself included, once nobody holds the other end of its standard input.
# It ignores what a terminal sends to it, and what it sends to the group itself.
_GUARD = """
trap '' TERM INT HUP QUIT
read -r _
kill -TERM 0
sleep {grace_seconds}
kill -KILL 0
"""


class BrokerNode:
    """
    One RabbitMQ node with everything it owns below one directory.

    Ports are chosen at the first start and kept in the directory, so that a restarted node is the same one.
    """

    def __init__(
        self,
        directory: Path,
        *,
        configuration: str = "",
        plugins: Sequence[str] = (),
        other_plugins: bool = True,
        schedulers: int = 2,
        start_timeout_seconds: float = 90.0,
    ) -> None:
        """
        Prepare a node; nothing runs before `start`.

        Args:
            directory: Holds data, logs, cookie and configuration; made where missing. No spaces in its path.
            configuration: More lines for rabbitmq.conf.
            plugins: Names of RabbitMQ's plugins to switch on; none are needed for AMQP 0-9-1.
            other_plugins: Show the node the others that are installed, too, so that they can be switched on while it
                runs. Without them a start needs half the CPU.
            schedulers: Threads that Erlang runs on.
            start_timeout_seconds: Longest wait for the node to take logins.
        """
        self._files = NodeFiles(
            directory,
            configuration=configuration,
            plugins=plugins,
            other_plugins=other_plugins,
            schedulers=schedulers,
        )
        self.directory = self._files.directory
        self._start_timeout_seconds = start_timeout_seconds
        self._guard: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    # What others need to know.

    @property
    def url(self) -> str:
        """The AMQP address of the default virtual host, with the user's password in it."""
        return self.vhost_url("/")

    @property
    def amqp_port(self) -> int:
        """The AMQP port on 127.0.0.1."""
        return self._files.amqp_port

    @property
    def username(self) -> str:
        """The administrator's name."""
        return USER

    @property
    def password(self) -> str:
        """The administrator's password."""
        return self._files.password

    def vhost_url(self, vhost: str, *, username: str | None = None, password: str | None = None) -> str:
        """Return the AMQP address of a virtual host, for the administrator or another user."""
        path = "%2F" if vhost == "/" else vhost
        credentials = f"{username or self.username}:{password or self.password}"
        return f"amqp://{credentials}@127.0.0.1:{self.amqp_port}/{path}"

    @property
    def beam_pid(self) -> int:
        """The process id of the Erlang machine that is the broker."""
        try:
            return int(self._files.pid_file.read_text())
        except (OSError, ValueError) as error:
            msg = "the broker node is not running"
            raise BrokerNodeError(msg) from error

    @property
    def running(self) -> bool:
        """Whether the server process exists (it may be frozen)."""
        return self._server is not None and self._server.poll() is None

    # Starting and ending.

    def start(self) -> None:
        """
        Start the node and return once it takes logins.

        Raises:
            BrokerNodeError: It ended, or took too long; the text has the end of its log.
        """
        if self.running:
            return
        self._files.write()
        if self._guard is None or self._guard.poll() is not None:
            self._guard = self._start_guard()
        if self._epmd is None or self._epmd.poll() is not None:
            self._epmd = self._start_epmd(self._guard.pid)
        self._files.pid_file.unlink(missing_ok=True)
        with self._files.log.open("ab") as log:
            self._server = subprocess.Popen(  # noqa: S603 - the script found in one of our fixed directories
                [self._files.scripts / "rabbitmq-server"],
                env=self._files.environment(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=self._guard.pid,
            )
        try:
            self._await_login()
        except BaseException:
            self.kill()
            self._end_helpers()
            raise

    def stop(self, *, timeout_seconds: float = 30.0) -> None:
        """Shut the node down in good order, then its helpers; killed when that takes longer than the timeout."""
        if self._server is not None and self._server.poll() is None:
            # The beam may be frozen by a test; it can only obey when it runs.
            with contextlib.suppress(ProcessLookupError, BrokerNodeError):
                os.kill(self.beam_pid, signal.SIGCONT)
                os.kill(self.beam_pid, signal.SIGTERM)
            try:
                self._server.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self._server = None
        self._end_helpers()

    def kill(self) -> None:
        """End the broker as a power cut would: SIGKILL to the Erlang machine."""
        with contextlib.suppress(ProcessLookupError, BrokerNodeError):
            os.kill(self.beam_pid, signal.SIGKILL)
        if self._server is not None:
            try:
                self._server.wait(10)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait(10)
        self._files.pid_file.unlink(missing_ok=True)

    def restart(self) -> None:
        """Stop the node where it runs, and start it again on the same ports and data."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop the Erlang machine without ending it: connections stay open and nothing answers."""
        os.kill(self.beam_pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen node go on."""
        os.kill(self.beam_pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # Administration.

    def ctl(self, *arguments: str, timeout_seconds: float = 60.0) -> str:
        """
        Run `rabbitmqctl` on this node and return what it printed. Takes a second or two.

        Raises:
            BrokerNodeError: It failed, or took longer; the text is what it said.
        """
        return control(self._files, *arguments, timeout_seconds=timeout_seconds)

    def import_definitions(self, definitions: Mapping[str, object]) -> None:
        """
        Import a RabbitMQ definitions document: users, virtual hosts, permissions, topology.

        Raises:
            BrokerNodeError: The node does not take it, or not all of it.
        """
        self._evaluate("rabbit_definitions:import_raw({})", json.dumps(definitions))

    def create_vhosts(self, names: Sequence[str]) -> None:
        """Make virtual hosts that the administrator may use, all in one call."""
        self.import_definitions(
            {
                "vhosts": [{"name": name} for name in names],
                "permissions": [
                    {"user": USER, "vhost": name, "configure": ".*", "write": ".*", "read": ".*"} for name in names
                ],
            }
        )

    def delete_vhost(self, name: str) -> None:
        """Remove a virtual host with all that is in it."""
        self._evaluate("rabbit_vhost:delete({}, {})", name, USER)

    def create_user(
        self, name: str, password: str, *, vhost: str, configure: str = "^$", write: str = "^$", read: str = "^$"
    ) -> None:
        """Make a user, or change it, with rights (regular expressions) in one virtual host and none elsewhere."""
        self.import_definitions(
            {
                "users": [{"name": name, "password": password, "tags": []}],
                "permissions": [
                    {"user": name, "vhost": vhost, "configure": configure, "write": write, "read": read},
                ],
            }
        )

    def sync(self) -> None:
        """
        Return once every queue that was declared outlives `kill`.

        RabbitMQ notes the name of a new quorum queue in a table that goes to disk half a second later, or when it is
        next read. A node of one that lost the name makes the queue anew, empty, and up to 4.2 without a leader: it
        confirms nothing until the next start.
        """
        self._evaluate("lists:foreach(fun dets:sync/1, dets:all())")

    def passes_on(self, queues: int) -> bool:
        """
        Return whether so many queues are ready to pass on what they give up, at least once.

        After a start each has a worker for that a moment later than its leader. Two whose queues are gone when they
        begin end the supervisor of all, and with it every queue of the node.
        """
        workers = "[sys:get_state(P) || {{_, P, _, _}} <- supervisor:which_children(rabbit_fifo_dlx_sup)]"
        with contextlib.suppress(BrokerNodeError):
            self._evaluate(f"true = length({workers}) >= binary_to_integer({{}}), ok", str(queues))
            return True
        return False

    # Inside.

    def _evaluate(self, call: str, *arguments: str) -> None:
        evaluate(self._files, call, *arguments)

    def _start_guard(self) -> subprocess.Popen[bytes]:
        # The writing end stays with us, unread by anybody: it closes with this process, however that ends.
        return subprocess.Popen(  # noqa: S603 - a fixed script
            ["/bin/sh", "-c", _GUARD.format(grace_seconds=5)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            process_group=0,
        )

    def _start_epmd(self, group: int) -> subprocess.Popen[bytes]:
        # In the foreground and ours: left to itself the server starts one as a daemon that outlives everything.
        process = subprocess.Popen(  # noqa: S603 - Erlang's port mapper
            [erlang_program("epmd"), "-port", str(self._files.epmd_port), "-address", "127.0.0.1"],
            env=self._files.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=group,
        )
        deadline = time.monotonic() + 10
        while not _listens(self._files.epmd_port):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                msg = f"epmd does not listen on its port {self._files.epmd_port}"
                raise BrokerNodeError(msg)
            time.sleep(0.02)
        return process

    def _await_login(self) -> None:
        server = self._server
        assert server is not None  # noqa: S101 - for the type checker; only `start` calls this
        deadline = time.monotonic() + self._start_timeout_seconds
        while True:
            if server.poll() is not None:
                msg = f"the broker node ended while starting:\n{self._files.log_end()}"
                raise BrokerNodeError(msg)
            if _listens(self.amqp_port):
                try:
                    try_login(self.url, timeout_seconds=10)
                except BridgeError as error:
                    last = str(error)
                else:
                    return
            else:
                last = "nothing listens on its AMQP port"
            if time.monotonic() > deadline:
                msg = f"the broker node took longer than {self._start_timeout_seconds:g} s: {last}"
                raise BrokerNodeError(f"{msg}\n{self._files.log_end()}")
            time.sleep(0.05)

    def _end_helpers(self) -> None:
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None
        if self._guard is not None:
            # Whatever is left in the group goes with its leader.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._guard.pid, signal.SIGKILL)
            self._guard.wait()
            if self._guard.stdin is not None:
                self._guard.stdin.close()
            self._guard = None


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a node in the foreground until SIGTERM or SIGINT; one JSON line on standard output says that it is ready."""
    parser = argparse.ArgumentParser(prog="python -m bridge.demo.broker_node", description=main.__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where everything of the node is kept")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="also stop when standard input ends, as when its owner dies"
    )
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    try:
        node = BrokerNode(options.dir)
        with node:
            ready = {"url": node.url, "pid": os.getpid(), "beam_pid": node.beam_pid, "dir": str(node.directory)}
            sys.stdout.write(json.dumps(ready) + "\n")
            sys.stdout.flush()
            if options.until_stdin_closes:
                threading.Thread(target=_await_end_of_input, args=(ended,), daemon=True).start()
            while not ended.wait(1.0):
                if not node.running:
                    sys.stderr.write("the broker node ended by itself\n")
                    return 1
    except BrokerNodeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _await_end_of_input(ended: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    ended.set()


if __name__ == "__main__":
    sys.exit(main())
