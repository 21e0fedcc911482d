"""The attribution worker as a real process: full disk, older and damaged state, broker restarts, static members."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.workload import catalog_text, events
from deploy.local.kafka import Kafka
from schemas.records import Click, Conversion
from tests.support.worker_process import PATIENCE_S, Log, WorkerProcess, until

pytestmark = pytest.mark.integration

PARTITIONS = 2
MIB = 1 << 20
DISK_MIB = 64
SMALL_MEMTABLES = 8 * MIB


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Kafka]:
    """A broker of the test's own: the topics have fixed names, and it is killed."""
    kafka = Kafka(tmp_path / "kafka")
    kafka.start()
    yield kafka
    kafka.stop()


@pytest.fixture
def log(broker: Kafka) -> Log:
    found = Log(broker.bootstrap, PARTITIONS)
    found.create()
    found.apply(catalog_text())
    return found


@pytest.fixture
def workers(log: Log, tmp_path: Path) -> Iterator[list[WorkerProcess]]:
    """Two static members, not started; a restart takes less than their session lasts, however busy the machine is."""
    two = [WorkerProcess(log.kafka, tmp_path, f"w{number}", static=True, session_timeout_s=30) for number in range(2)]
    yield two
    for worker in two:
        worker.kill()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "accredit-test", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command, so no small file system")
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(ballast: Path) -> None:
    """Take all the room of a file system."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(64 << 10))
        except OSError:
            pass


def late_click(records: list[Click | Conversion], name: str, number: int) -> tuple[Conversion, Click]:
    """A conversion, and a click that is the last before it: only a complete store can place it."""
    sold = [record for record in records if isinstance(record, Conversion)][number]
    click = Click(name, sold.occurred_at - 1, sold.received_at, "click", "p0", "o0", None, None, sold.session_id)
    return sold, click


def test_a_full_disk_stops_it_by_name_and_with_room_it_goes_on(log: Log, tmp_path: Path, small_disk: Path) -> None:
    worker = WorkerProcess(log.kafka, tmp_path, "w", state=small_disk / "state", memtable_bytes=SMALL_MEMTABLES)
    records = [record for _, record in events(50_000)]
    try:
        log.send(records[:2_000])
        worker.start()
        until(log.caught_up, "the first events to be committed")
        ballast = small_disk / "ballast"
        fill(ballast)
        log.send(records[2_000:])
        assert worker.process is not None
        assert worker.process.wait(PATIENCE_S) == 1
        said = worker.log.read_text()
        assert "STOPPED StoreFull: no space left for the store" in said
        assert str(worker.state) in said.rpartition("STOPPED")[2]
        assert "make room and start the worker again" in said

        ballast.unlink()
        worker.start()
        until(log.caught_up, "everything to be committed once there is room")
        assert not log.differing()
        assert worker.stop() == 0
    finally:
        worker.kill()


def test_older_and_damaged_state_is_brought_up_to_date(log: Log, workers: list[WorkerProcess], tmp_path: Path) -> None:
    worker = workers[0]
    records = [record for _, record in events(6_000)]
    older = tmp_path / "older"
    log.send(records[:2_000])
    worker.start()
    until(log.caught_up, "the first part to be committed")
    assert worker.stop() == 0
    shutil.copytree(worker.state, older)
    log.send(records[2_000:])
    worker.start()
    until(log.caught_up, "the second part to be committed")
    assert worker.stop() == 0

    shutil.rmtree(worker.state)
    older.rename(worker.state)
    sold, late = late_click(records, "after the older state", -1)
    log.send([late])
    worker.start()
    until(log.caught_up, "the late click on the older state")
    until(worker.ready, "the worker to be ready")
    assert worker.metric("accredit_worker_silent_records_total") > 0
    assert not log.differing()
    assert log.credits()[sold.conversion_id, sold.session_id, sold.amount].click_id == late.click_id
    assert worker.stop() == 0

    tables = sorted(worker.state.rglob("*.sst"))
    assert tables
    for table in tables:
        table.write_bytes(b"\xa5" * table.stat().st_size)
    for name in worker.state.rglob("CURRENT"):
        name.write_text("no manifest\n")
        break
    sold, late = late_click(records, "after the damage", 0)
    log.send([late])
    worker.start()
    until(log.caught_up, "the late click on the damaged state")
    until(worker.ready, "the worker to be ready")
    assert worker.metric("accredit_worker_stores_set_aside_total") >= 1
    assert list(worker.state.glob("p*.aside-*"))
    assert not log.differing()
    assert log.credits()[sold.conversion_id, sold.session_id, sold.amount].click_id == late.click_id
    assert worker.stop() == 0


def test_a_broker_that_is_killed_and_started_again_is_waited_for(
    broker: Kafka, log: Log, workers: list[WorkerProcess]
) -> None:
    worker = workers[0]
    records = [record for _, record in events(12_000)]
    log.send(records[:4_000])
    worker.start()
    until(lambda: worker.metric("accredit_worker_records_total") > 0, "the worker to begin")
    for part in (records[4_000:8_000], records[8_000:]):
        broker.kill()
        broker.start()
        log.send(part)
    until(log.caught_up, "all offsets to be committed")
    until(worker.ready, "the worker to be ready")
    assert worker.process is not None
    assert worker.process.poll() is None
    assert not log.differing()
    assert worker.stop() == 0


def test_a_static_member_that_restarts_moves_no_partition(log: Log, workers: list[WorkerProcess]) -> None:
    def dealt() -> dict[str, float]:
        return {worker.instance or "": worker.metric("accredit_worker_partitions") for worker in workers}

    records = [record for _, record in events(6_000)]
    for worker in workers:
        worker.start()
    until(lambda: dealt() == {"w0": 1, "w1": 1}, "a partition each")
    before = workers[0].metric("accredit_worker_rebalances_total")
    for part, end in enumerate((workers[1].kill, workers[1].stop), 1):
        log.send(records[(part - 1) * 2_000 : part * 2_000])
        end()
        workers[1].start()
        until(lambda: dealt() == {"w0": 1, "w1": 1}, "its partition to be its own again")
    log.send(records[4_000:])
    until(log.caught_up, "all offsets to be committed")
    assert workers[0].metric("accredit_worker_rebalances_total") == before
    assert not log.differing()
    for worker in workers:
        assert worker.stop() == 0
