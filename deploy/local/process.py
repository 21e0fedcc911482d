"""A child process of one of our own: started with a log file, stopped in order, never left behind."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from deploy.local import child
from deploy.local.errors import ChildNotStarted

log = structlog.get_logger(__name__)

LAUNCHER = Path(child.__file__)
POLL_S = 0.02


class Child:
    """One program that runs beside this one and ends with it.

    - Output (stdout and stderr) is appended to `log_path`; standard input is empty.
    - It runs in a session of its own: Ctrl-C in the terminal reaches only us, and we stop our children in order.
    - When this process dies, even by SIGKILL, the kernel kills the child (Linux). It is tied to the *thread* that
      called `start`: call it from the main thread, or from one that lives as long as the child should. The kernel
      sees to the child alone, not to processes that the child starts.
    - What the child has started and left running in its process group is killed when its end is seen.
    - After it has ended, `start` may be called again.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """`name` is for the log. `env` is the whole environment of the child; without it, it has ours."""
        self.name = name
        self.argv = list(argv)
        self.log_path = log_path
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._swept = False

    def start(self) -> None:
        """Start the program and return at once. Does nothing while it runs.

        Raises ChildNotStarted when there is no such program. One that ends right after its start is seen by `poll`.
        """
        if self._process is not None and self.poll() is None:
            return
        program = shutil.which(self.argv[0], path=None if self._env is None else self._env.get("PATH"))
        if program is None:
            raise ChildNotStarted(self.name, self.argv[0], "no such executable file")
        if threading.current_thread() is not threading.main_thread():
            log.warning("child_tied_to_thread", name=self.name, thread=threading.current_thread().name)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), "--"]
        with self.log_path.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    [*launcher, program, *self.argv[1:]],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self._env,
                    cwd=self._cwd,
                    start_new_session=True,
                )
            except OSError as error:
                raise ChildNotStarted(self.name, program, str(error)) from error
        self._swept = False
        log.debug("child_started", name=self.name, pid=self._process.pid)

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else None."""
        return self._process.pid if self._process is not None and self.poll() is None else None

    def poll(self) -> int | None:
        """Exit code, or None while it runs or when it was never started; -N when it was ended by signal N."""
        if self._process is None:
            return None
        code = self._process.poll()
        if code is not None and not self._swept:
            # At the moment its end is first seen, and never later: its number may then be another process's.
            self._swept = True
            self._kill_group()
        return code

    def wait(self, timeout_s: float) -> int | None:
        """Block until it ends, at most `timeout_s` seconds; the same answer as `poll`."""
        deadline = time.monotonic() + timeout_s
        while (code := self.poll()) is None and self._process is not None and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return code

    def stop(self, grace_s: float = 10) -> int | None:
        """Ask it to end (SIGTERM), wait `grace_s` seconds, then kill it. Returns the exit code.

        Blocks until it is gone. Does nothing when it does not run.
        """
        if self._process is None or self.poll() is not None:
            return self.poll()
        self._process.terminate()
        if self.wait(grace_s) is None:
            log.warning("child_killed", name=self.name, pid=self._process.pid, grace_s=grace_s)
            self.kill()
        return self.poll()

    def kill(self) -> None:
        """SIGKILL to it and to everything in its process group; blocks until it is gone."""
        if self._process is None or self.poll() is not None:
            return
        self._kill_group()
        self._process.wait()
        self.poll()

    def _kill_group(self) -> None:
        assert self._process is not None
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
