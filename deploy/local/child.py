"""The launcher of child processes: `python child.py PARENT_PID -- PROGRAM ARGS...`.

It asks the kernel to kill this process when its parent dies (Linux, prctl(2) PR_SET_PDEATHSIG), then becomes PROGRAM;
the process id stays the same. Doing this here and not in a `preexec_fn` keeps Python code out of the moment between
fork and exec, where another thread's lock would hang it for ever.

The kernel's notion of parent is the *thread* that started the process: see `deploy.local.process`.

Run by file name, with the standard library only, so that it starts fast and does not depend on the working folder.
On systems without prctl the program is started all the same and outlives a killed parent.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
EXIT_NOT_STARTED = 127
"""Exit code when PROGRAM cannot be executed, as a shell has it."""


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel send SIGKILL to this process when its parent ends; end now if it has ended already."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:  # it died before the call above
        os.kill(os.getpid(), signal.SIGKILL)


def main(argv: list[str]) -> None:
    """Become the program after `--`; exits 127 with one line on stderr when that is impossible."""
    parent_pid, separator, program = int(argv[1]), argv[2], argv[3:]
    assert separator == "--"
    die_with_parent(parent_pid)
    # Python ignores these at its start, and what is ignored stays so across exec.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execvp(program[0], program)
    except OSError as error:
        print(f"cannot execute {program[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(EXIT_NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv)
