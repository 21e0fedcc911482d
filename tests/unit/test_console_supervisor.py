"""The supervisor, with programs that live in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.errors import ConsoleError, ProcessDidNotStart
from console.probe import Health
from console.say import Say
from console.supervisor import RestartPolicy, Service, Supervisor, ending, has_started
from deploy.local.errors import ChildNotStarted


class Program:
    """Runs until it is told otherwise."""

    def __init__(self, failures: int = 0) -> None:
        self.starts = 0
        self.failures = failures
        self.code: int | None = None
        self.running = False
        self.stopped: list[str] = []

    def start(self) -> None:
        self.starts += 1
        if self.failures:
            self.failures -= 1
            raise ChildNotStarted("program", "/no/such", "gone")
        self.running, self.code = True, None

    def poll(self) -> int | None:
        return self.code

    def stop(self, grace_s: float = 0) -> None:
        self.running, self.code = False, 0

    def die(self, code: int) -> None:
        self.running, self.code = False, code

    @property
    def pid(self) -> int | None:
        return 4711 if self.running else None


class Heard(Say):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def __call__(self, event: str, sentence: str, level: str = "info", **fields: object) -> None:
        self.said.append((level, event))


def service(name: str, program: Program, address: str = "127.0.0.1:1") -> Service:
    return Service(name, program, Path("/nowhere.log"), lambda: address)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def supervisor(heard: Heard) -> Supervisor:
    return Supervisor(heard, lambda: None, RestartPolicy(first_s=0, greatest_s=0, loud_after=3))


def test_a_program_that_dies_is_started_again_and_said(supervisor: Supervisor, heard: Heard) -> None:
    program = Program()
    worker = service("worker", program)
    supervisor.launch(worker)
    supervisor.await_started(worker)
    program.die(-9)
    for _ in range(3):
        supervisor.look_after(worker)
    assert program.starts == 2
    assert [event for _, event in heard.said] == ["process_ready", "process_died", "process_ready"]


def test_deaths_in_a_row_get_loud_and_it_goes_on(supervisor: Supervisor, heard: Heard) -> None:
    program = Program()
    worker = service("worker", program)
    supervisor.launch(worker)
    for _ in range(4):
        program.die(1)
        supervisor.look_after(worker)
        supervisor.look_after(worker)
    assert program.starts == 5
    assert [level for level, event in heard.said if event == "process_died"] == ["warning", "warning", "error", "error"]


def test_one_that_cannot_be_started_is_tried_again(supervisor: Supervisor) -> None:
    program = Program()
    worker = service("worker", program)
    supervisor.launch(worker)
    program.failures = 2
    program.die(1)
    for _ in range(4):
        supervisor.look_after(worker)
    assert program.running
    assert program.starts == 4


def test_a_moved_address_is_an_error(supervisor: Supervisor) -> None:
    program = Program()
    addresses = iter(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:2"])
    broker = Service("kafka", program, Path("/nowhere.log"), lambda: next(addresses))
    supervisor.launch(broker)
    program.die(1)
    supervisor.look_after(broker)
    with pytest.raises(ConsoleError, match=r"had to move from 127\.0\.0\.1:1"):
        supervisor.look_after(broker)


def test_one_that_ends_at_its_start_is_said_with_its_log(supervisor: Supervisor, tmp_path: Path) -> None:
    program = Program()
    log = tmp_path / "worker.log"
    log.write_text("the reason\n")
    worker = Service("worker", program, log, lambda: "")
    supervisor.launch(worker)
    program.die(3)
    with pytest.raises(ProcessDidNotStart, match="exit code 3") as failure:
        supervisor.await_started(worker)
    assert "the reason" in str(failure.value)


def test_all_are_stopped_in_order(supervisor: Supervisor) -> None:
    stopped: list[str] = []
    for name in ("kafka", "clickhouse", "ingest", "worker-1", "worker-2", "sink"):
        program = Program()
        program.stop = lambda grace_s=0, name=name: stopped.append(name)  # type: ignore[method-assign,misc]
        supervisor.launch(service(name, program))
    supervisor.stop_all(("ingest", "worker", "sink", "clickhouse", "kafka"))
    assert stopped == ["ingest", "worker-1", "worker-2", "sink", "clickhouse", "kafka"]


def test_waits_double_up_to_a_limit_and_calm_forgives() -> None:
    policy = RestartPolicy(first_s=0.25, greatest_s=15, calm_s=60)
    assert [policy.wait_s(n) for n in (1, 2, 3, 7, 8, 1_000)] == [0.25, 0.5, 1.0, 15, 15, 15]
    assert policy.deaths(before=3, lived_s=59) == 4
    assert policy.deaths(before=3, lived_s=60) == 1


def test_waiting_for_the_first_catalog_counts_as_started() -> None:
    assert has_started(Health(True, True, ""))
    assert has_started(Health(True, False, "waiting for the first catalog"))
    assert not has_started(Health(True, False, "recovering"))
    assert not has_started(Health(False, False, "does not answer: catalog"))


def test_an_exit_code_in_words() -> None:
    assert ending(-9) == "was killed (SIGKILL)"
    assert ending(2) == "ended with exit code 2"
