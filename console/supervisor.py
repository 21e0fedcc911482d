"""Keeps the processes of one machine running: starts them, awaits that they are ready, starts again what dies, stops.

Everything happens in the main thread, to which the kernel ties the children (`deploy.local.process`): when this
process ends, however it ends, so do they.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

from console.errors import ConsoleError, ProcessDidNotStart
from console.probe import Health, health
from console.say import Say
from deploy.local.errors import LocalServiceError

POLL_S = 0.1
PROBE_EVERY_S = 0.25
PROBE_TIMEOUT_S = 1.0
START_DEADLINE_S = 60.0
READY_PATIENCE_S = 15.0
STOP_BUDGET_S = 20.0
LEAST_GRACE_S = 2.0
FIRST_CATALOG = "catalog"
"""A process that says it is not ready for want of a catalog has started all the same: applying one is the next step."""


class Runnable(Protocol):
    """A program to start, look at and stop: `deploy.local.process.Child`, `deploy.local.kafka.Kafka`."""

    def start(self) -> None:
        """Start it. LocalServiceError when it cannot be."""

    def poll(self) -> int | None:
        """Exit code, None while it runs."""

    def stop(self, grace_s: float = ...) -> object:
        """End it in order, after ``grace_s`` seconds at once."""

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How long to wait before a process that died is started again, in seconds: doubling, up to a limit.

    One that ran for ``calm_s`` starts anew at the shortest wait. From the ``loud_after``-th death in a row on it is
    said as an error.
    """

    first_s: float = 0.25
    greatest_s: float = 15.0
    calm_s: float = 60.0
    loud_after: int = 4

    def wait_s(self, deaths: int) -> float:
        """The wait after that many deaths in a row (from 1)."""
        return min(self.greatest_s, self.first_s * 2.0 ** min(deaths - 1, 30))

    def deaths(self, before: int, lived_s: float) -> int:
        """Deaths in a row, this one with it."""
        return 1 if lived_s >= self.calm_s else before + 1


@dataclass(slots=True)
class Service:
    """One supervised program. ``url``: where its health is asked, None where ``start`` itself awaits readiness."""

    name: str
    runnable: Runnable
    log: Path
    address: Callable[[], str]
    url: str | None = None
    ready_path: str = "/readyz"
    started: float = 0.0
    deaths: int = 0
    restart_at: float | None = None
    awaited: bool = field(default=False)
    probed: float = 0.0

    def health(self) -> Health:
        """What it says of itself; a program without a URL is ready when it runs."""
        if self.url is None:
            running = self.runnable.pid is not None
            return Health(running, running, "" if running else "does not run")
        return health(self.url, PROBE_TIMEOUT_S, self.ready_path)


def has_started(found: Health) -> bool:
    """Ready, or waiting for nothing but the first catalog."""
    reason = found.reason.lower()
    waits = FIRST_CATALOG in reason and "kafka" not in reason and "has not been read yet" not in reason
    return found.ready or (found.alive and waits)


def ending(code: int | None) -> str:
    """An exit code in words."""
    if code is not None and code < 0:
        try:
            return f"was killed ({signal.Signals(-code).name})"
        except ValueError:
            return f"was killed (signal {-code})"
    return f"ended with exit code {code}"


class Supervisor:
    """Services in the order in which they were added; they are stopped in the order of ``stop_order``."""

    def __init__(self, say: Say, on_change: Callable[[], None], policy: RestartPolicy | None = None) -> None:
        """``on_change`` is called after each change of a process id."""
        self.say = say
        self.services: list[Service] = []
        self._on_change = on_change
        self._policy = policy or RestartPolicy()
        self._stop = threading.Event()
        self._interruptible = False

    @property
    def stopping(self) -> bool:
        """Whether an end was asked for."""
        return self._stop.is_set()

    def request_stop(self) -> None:
        """Have `watch` return soon; may be called from any thread."""
        self._stop.set()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM ask for the end while this is open; main thread only."""

        def asked(number: int, frame: FrameType | None) -> None:
            again = self._stop.is_set()
            self._stop.set()
            if self._interruptible and not again:
                raise KeyboardInterrupt

        before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def launch(self, service: Service) -> None:
        """Start a service and look after it from now on; blocks only as long as its ``start`` does."""
        if service not in self.services:
            self.services.append(service)
        service.started = time.monotonic()
        service.awaited = True
        with self._may_be_interrupted():
            service.runnable.start()
        self._on_change()

    def await_started(self, service: Service, deadline_s: float = START_DEADLINE_S) -> None:
        """Block until a launched service has started. ProcessDidNotStart if it ends, or does not answer in time.

        One that answers but has long work to do first, such as rebuilding its store, is said and left to it; `watch`
        says when it is ready.
        """
        deadline = time.monotonic() + deadline_s
        patience = time.monotonic() + READY_PATIENCE_S
        while True:
            if service.runnable.pid is None:
                raise ProcessDidNotStart(service.name, f"it {ending(service.runnable.poll())}", service.log)
            found = service.health()
            if has_started(found):
                self._say_started(service, found)
                return
            if found.alive and time.monotonic() > patience:
                self.say("process_busy", f"{service.name} runs, but is not ready: {found.reason}", "warning")
                return
            if time.monotonic() > deadline:
                raise ProcessDidNotStart(service.name, f"after {deadline_s:.0f} s: {found.reason}", service.log)
            with self._may_be_interrupted():
                self._stop.wait(POLL_S)

    def watch(self, until: Callable[[], bool] = lambda: False) -> None:
        """Start again what dies, until the end is asked for or ``until`` says so."""
        while not self._stop.is_set() and not until():
            for service in self.services:
                self.look_after(service)
            self._stop.wait(POLL_S)

    def look_after(self, service: Service) -> None:
        """One look at one service: notices its death, starts it again when its time has come, says when it is back."""
        now = time.monotonic()
        if service.restart_at is not None:
            if now >= service.restart_at:
                self._restart(service)
        elif service.runnable.pid is None:
            self._died(service, ending(service.runnable.poll()), now)
        elif service.awaited and now - service.probed >= PROBE_EVERY_S:
            service.probed = now
            found = service.health()
            if has_started(found):
                self._say_started(service, found)

    def stop_all(self, order: Sequence[str], budget_s: float = STOP_BUDGET_S) -> None:
        """End all, in order of the first part of their names (``worker`` is ``worker-2``, too), within the budget."""
        self._stop.set()
        deadline = time.monotonic() + budget_s

        def rank(service: Service) -> int:
            kind = service.name.partition("-")[0]
            return order.index(kind) if kind in order else len(order)

        for service in sorted(self.services, key=rank):
            if service.runnable.pid is None:
                continue
            began = time.monotonic()
            service.runnable.stop(max(LEAST_GRACE_S, deadline - began))
            took = time.monotonic() - began
            self.say("process_stopped", f"{service.name} stopped in {took:.1f} s", name=service.name, seconds=took)
            self._on_change()

    def _died(self, service: Service, how: str, now: float) -> None:
        lived = now - service.started
        service.deaths = self._policy.deaths(service.deaths, lived)
        wait_s = self._policy.wait_s(service.deaths)
        service.restart_at = now + wait_s
        loud = service.deaths >= self._policy.loud_after
        sentence = f"{service.name} {how} after {lived:.0f} s; starting it again in {wait_s:.2g} s"
        if loud:
            sentence += f". That was {service.deaths} times in a row: look at the end of {service.log}"
        self.say(
            "process_died",
            sentence,
            "error" if loud else "warning",
            name=service.name,
            how=how,
            deaths=service.deaths,
            restart_in_s=wait_s,
            log_file=str(service.log),
        )
        self._on_change()

    def _restart(self, service: Service) -> None:
        service.restart_at = None
        address = service.address()
        try:
            self.launch(service)
        except LocalServiceError as error:
            self._died(service, f"could not be started ({error})", time.monotonic())
            return
        except KeyboardInterrupt:
            return
        if service.address() != address:
            raise ConsoleError(
                f"{service.name} had to move from {address} to {service.address()}, since another program took its "
                "port; the others know the old one. Start `accredit up` again."
            )

    def _say_started(self, service: Service, found: Health) -> None:
        service.awaited = False
        seconds = time.monotonic() - service.started
        again = " again" if service.deaths else ""
        waits = "" if found.ready else f" ({found.reason})"
        sentence = f"{service.name} ready{again} in {seconds:.1f} s at {service.address()}{waits}"
        self.say(
            "process_ready",
            sentence,
            name=service.name,
            seconds=round(seconds, 2),
            address=service.address(),
            pid=service.runnable.pid,
            waits_for=found.reason or None,
        )
        self._on_change()

    @contextmanager
    def _may_be_interrupted(self) -> Iterator[None]:
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._interruptible = True
        try:
            yield
        finally:
            self._interruptible = False
