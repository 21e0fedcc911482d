"""Child processes; no sockets in them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.errors import ChildNotStarted
from deploy.local.process import Child

DEADLINE_S = 20.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def python(name: str, program: str, tmp_path: Path, env: dict[str, str] | None = None) -> Child:
    return Child(name, [sys.executable, "-u", "-c", program], tmp_path / "logs" / f"{name}.log", env=env)


def says(child: Child, text: str) -> Callable[[], bool]:
    return lambda: child.log_path.exists() and text in child.log_path.read_text()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_output_is_appended_over_restarts(tmp_path: Path) -> None:
    child = python("speaker", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", tmp_path)
    for _ in range(2):
        child.start()
        assert child.wait(DEADLINE_S) == 3
        assert child.pid is None
    assert sorted(child.log_path.read_text().split()) == ["err", "err", "out", "out"]


def test_stop_lets_it_end_in_order(tmp_path: Path) -> None:
    child = python(
        "orderly",
        "import signal, sys, time\n"
        "def end(*_):\n    print('closing'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\nprint('ready')\nwhile True: time.sleep(1)",
        tmp_path,
    )
    child.start()
    wait_for(says(child, "ready"), "it starts")
    assert child.stop(DEADLINE_S) == 0
    assert "closing" in child.log_path.read_text()
    assert child.stop() == 0  # again is harmless


def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    child = python(
        "deaf",
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready')\nwhile True: time.sleep(1)",
        tmp_path,
    )
    child.start()
    wait_for(says(child, "ready"), "it starts")
    assert child.stop(grace_s=0.1) == -signal.SIGKILL


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    child = python(
        "parent",
        "import subprocess, time\nprint(subprocess.Popen(['sleep', '1000']).pid, 'ready')\nwhile True: time.sleep(1)",
        tmp_path,
    )
    child.start()
    wait_for(says(child, "ready"), "it starts")
    grandchild = int(child.log_path.read_text().split()[0])
    pid = child.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert child.wait(DEADLINE_S) == -signal.SIGKILL
    wait_for(lambda: not is_alive(grandchild), "its own child ends")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_it_dies_with_a_killed_parent(tmp_path: Path) -> None:
    program = (
        "import pathlib, time\nfrom deploy.local.process import Child\n"
        f"child = Child('sleeper', ['sleep', '1000'], pathlib.Path({str(tmp_path / 'sleeper.log')!r}))\n"
        "child.start(); print(child.pid, flush=True); time.sleep(1000)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdout is not None
        line = next(line for line in parent.stdout if line.strip().isdigit())
        pid = int(line)
        wait_for(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "the launcher becomes the program")
        parent.kill()
    wait_for(lambda: not is_alive(pid), "the child ends with its parent")


def test_it_is_out_of_reach_of_ctrl_c_and_has_ordinary_signals(tmp_path: Path) -> None:
    child = python(
        "session",
        "import os\nstatus = open('/proc/self/status').read()\n"
        "print(os.getsid(0) == os.getpid(), status.split('SigIgn:')[1].split()[0])",
        tmp_path,
        env={"PATH": os.environ["PATH"]},
    )
    child.start()
    assert child.wait(DEADLINE_S) == 0
    own_session, ignored = child.log_path.read_text().split()
    assert own_session == "True"
    # Python itself ignores SIGPIPE and SIGXFSZ, so what the launcher leaves is looked at with a program that does not.
    shell = Child("shell", ["sh", "-c", "grep SigIgn /proc/self/status"], tmp_path / "shell.log")
    shell.start()
    assert shell.wait(DEADLINE_S) == 0
    assert int(shell.log_path.read_text().split()[1], 16) & (1 << (signal.SIGPIPE - 1)) == 0
    assert int(ignored, 16) & (1 << (signal.SIGTERM - 1)) == 0


def test_missing_program_is_an_error_that_names_it(tmp_path: Path) -> None:
    child = Child("nothing", ["/no/such/program"], tmp_path / "nothing.log")
    with pytest.raises(ChildNotStarted, match="nothing: cannot start /no/such/program"):
        child.start()
    assert child.poll() is None
    assert child.pid is None
