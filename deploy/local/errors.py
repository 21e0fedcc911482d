"""What can go wrong with a local service.

    LocalServiceError
    ├── ChildNotStarted      the operating system would not start the program
    ├── NoFreePort           no loopback port could be had
    ├── JarsUnavailable      the jars are neither cached nor downloadable
    ├── JarSumMismatch       a jar is not the one that was checked when its sum was committed
    ├── KafkaNotRunning      asked for something that only a started broker has
    ├── KafkaDataInUse       another broker has the data folder open
    └── KafkaDidNotStart     the broker ended, or did not answer in time

Every message names the thing, the value and the way out; it is meant to be shown to the operator as it is.
"""

from pathlib import Path


class LocalServiceError(Exception):
    """A local service cannot do what was asked. Operator: read the message, it says what to do."""


class ChildNotStarted(LocalServiceError):
    """A program could not be started. Operator: check that the file exists and may be executed."""

    def __init__(self, name: str, program: str, reason: str) -> None:
        super().__init__(f"{name}: cannot start {program}: {reason}. Check that it exists and may be executed.")


class NoFreePort(LocalServiceError):
    """No port could be had. Operator: see what listens on this machine (`ss -ltn`) and stop what is not needed."""

    def __init__(self, first: int, last: int, tries: int) -> None:
        super().__init__(
            f"no free port on 127.0.0.1 between {first} and {last} in {tries} tries; "
            "see what listens with `ss -ltn`, stop what is not needed and start again."
        )


class JarsUnavailable(LocalServiceError):
    """A jar is not cached and could not be fetched.

    Operator: check the connection and start again (what has arrived is kept), or copy the cache folder from another
    machine, or use another broker (`ACCREDIT_KAFKA=host:port`).
    """

    def __init__(self, jar: str, cache: Path, reason: str) -> None:
        super().__init__(
            f"cannot get {jar}: {reason}. Check the network connection and start again (jars that have arrived are "
            f"kept), or copy {cache} from a machine that has it, or use another broker with ACCREDIT_KAFKA=host:port."
        )


class JarSumMismatch(LocalServiceError):
    """A jar's SHA-256 is not the committed one.

    Operator: delete the named file and start again. When it happens again the download is being altered on its way:
    do not go on, find out by what.
    """

    def __init__(self, jar: Path, expected: str, got: str) -> None:
        super().__init__(
            f"{jar} is not the file that was expected: SHA-256 is {got}, should be {expected}. "
            "Delete it and start again; if it comes back, something alters the download on its way."
        )
        self.jar = jar
        self.expected = expected
        self.got = got


class KafkaNotRunning(LocalServiceError):
    """The broker has not been started by this object. A mistake in the calling code, not an operator's."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(f"the broker of {data_dir} has not been started: call start() first.")


class KafkaDataInUse(LocalServiceError):
    """Another broker has the data folder open. Operator: stop the other one, or use another `--data` folder."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"another Kafka broker is using {data_dir}: stop it (is `accredit up` running there already?), "
            "or choose another folder with --data."
        )


class KafkaDidNotStart(LocalServiceError):
    """The broker ended or did not answer in time. Operator: the log's last lines, in the message, say why."""

    def __init__(self, reason: str, log_path: Path, last_lines: str) -> None:
        shown = "\n".join("    " + line for line in last_lines.splitlines()) or "    (the log is empty)"
        super().__init__(f"Apache Kafka did not start: {reason}. The end of {log_path}:\n{shown}")
        self.log_path = log_path
        self.last_lines = last_lines
