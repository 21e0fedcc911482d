"""What can go wrong at the command line.

    ConsoleError
    ├── NothingRuns          no `accredit up` runs on that data folder, and no address was given
    ├── AlreadyRuns          another `accredit up` holds that data folder
    ├── ProcessDidNotStart   a process of `accredit up` did not become ready in time
    ├── TopicsDiffer         the topics that are there do not fit
    ├── BrokerUnreachable    Kafka did not answer
    ├── ClickHouseUnreachable  ClickHouse did not answer
    ├── PageUnreachable      the local HTTP address of a process did not answer
    ├── WaitTimedOut         what was waited for had not come by the deadline
    └── StoryFailed          the demo's outcome is not the one that its story tells

Every message names the thing, the value and the way out; `accredit` prints it and exits with 1.
"""

from __future__ import annotations

from pathlib import Path


class ConsoleError(Exception):
    """Base of everything below: printed without a traceback."""


class NothingRuns(ConsoleError):
    """Operator: start it, or name the folder or the addresses of what runs."""

    def __init__(self, data: Path, missing: str = "Accredit") -> None:
        super().__init__(
            f"no {missing} runs in {data}. Start one with `accredit up --data {data}`, name "
            "the folder of one that runs with --data DIR or ACCREDIT_DATA, or give addresses with ACCREDIT_KAFKA and "
            "ACCREDIT_CLICKHOUSE."
        )


class AlreadyRuns(ConsoleError):
    """Operator: use the one that runs, or another folder."""

    def __init__(self, data: Path, pid: int | None) -> None:
        who = f" (process {pid})" if pid else ""
        super().__init__(
            f"`accredit up` runs on {data} already{who}. See it with `accredit status --data {data}`, or choose "
            "another folder with --data DIR."
        )


class ProcessDidNotStart(ConsoleError):
    """Operator: the log's last lines, in the message, say why."""

    def __init__(self, name: str, reason: str, log_path: Path) -> None:
        shown = "\n".join("    " + line for line in last_lines(log_path)) or "    (the log is empty)"
        super().__init__(f"{name} did not start: {reason}. The end of {log_path}:\n{shown}")


class TopicsDiffer(ConsoleError):
    """Operator: the number of partitions is fixed when topics are created; go on with theirs, or a new folder."""


class BrokerUnreachable(ConsoleError):
    """Operator: see whether the broker runs, and its log."""

    def __init__(self, kafka: str, reason: str) -> None:
        super().__init__(f"Kafka at {kafka} does not answer: {reason}. See `accredit status`, or ACCREDIT_KAFKA.")


class ClickHouseUnreachable(ConsoleError):
    """Operator: see whether it runs, and its log."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"ClickHouse at {address} does not answer: {reason}. See `accredit status`, or ACCREDIT_CLICKHOUSE."
        )


class PageUnreachable(ConsoleError):
    """Operator: see whether the process runs, and its log."""


class WaitTimedOut(ConsoleError):
    """Operator: `accredit status` shows which stage lags; waiting again does no harm."""


class StoryFailed(ConsoleError):
    """Developer: the demo shows something other than what it tells; it is a bug."""


def last_lines(path: Path, count: int = 15) -> list[str]:
    """The last lines of a log file; none if there is no such file."""
    try:
        return path.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        return []
