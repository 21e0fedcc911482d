"""Faults as data: who is killed, frozen, or joins and leaves, and when. A seed gives the same plan every time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.running import Running

KILL, FREEZE, JOIN, LEAVE = "kill", "freeze", "join", "leave"
FIRST_AT_S = 3.0
KILL_EVERY_S = (1.8, 3.2)
RESTARTED_S = 20.0


class Fault(NamedTuple):
    """At ``at_s`` seconds do ``what`` to ``whom``; a frozen process goes on after ``for_s``."""

    at_s: float
    what: str
    whom: str
    for_s: float = 0.0


def plan(seed: int, kills: int, targets: tuple[str, ...]) -> list[Fault]:
    """``kills`` kills over the targets, and between them freezes and workers that join and leave."""
    chance = random.Random(f"faults {seed}")
    faults: list[Fault] = []
    at = FIRST_AT_S
    guests = 0
    for i in range(kills):
        target = targets[i] if i < len(targets) else chance.choice(targets)
        faults.append(Fault(at, KILL, target))
        if i % 5 == 1:
            faults.append(Fault(at + 0.7, FREEZE, chance.choice(targets), chance.uniform(1.0, 6.0)))
        if i % 6 == 2:
            faults.append(Fault(at + 0.9, JOIN, f"guest-{guests}"))
            faults.append(Fault(at + chance.uniform(6, 14), LEAVE, f"guest-{guests}"))
            guests += 1
        at += chance.uniform(*KILL_EVERY_S)
    return sorted(faults)


class Injector:
    """Does what a plan says to a running installation."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.running = running
        self.folder = folder
        self.kills = self.freezes = self.joins = 0
        self._frozen: dict[int, float] = {}
        self._killed: set[int] = set()
        self._guests: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, faults: list[Fault]) -> None:
        """Every fault at its time, a line each."""
        began = time.monotonic()
        for fault in faults:
            self._wait_until(began + fault.at_s)
            done = self._do(fault)
            frozen = f" for {fault.for_s:.1f} s" if fault.for_s else ""
            print(
                f"  {fault.at_s:6.1f} s  {fault.what} {fault.whom}{frozen}{'' if done else ' (it was down)'}",
                flush=True,
            )

    def settle(self) -> None:
        """End all faults: nothing is frozen any more, guests are gone."""
        self._wait_until(max(self._frozen.values(), default=0))
        self._thaw(all_of_them=True)
        for guest in self._guests.values():
            guest.terminate()
        for guest in self._guests.values():
            guest.wait(30)

    def _do(self, fault: Fault) -> bool:
        if fault.what == JOIN:
            self._join(fault.whom)
            return True
        if fault.what == LEAVE:
            self._guests.pop(fault.whom).send_signal(signal.SIGTERM)
            return True
        signal_number = signal.SIGKILL if fault.what == KILL else signal.SIGSTOP
        pid = self._signal(fault.whom, signal_number)
        if pid is None:
            return False
        if fault.what == KILL:
            self.kills += 1
        else:
            self.freezes += 1
            self._frozen[pid] = time.monotonic() + fault.for_s
        return True

    def _signal(self, name: str, number: signal.Signals) -> int | None:
        """Signal a process and return its id; one that is being started again is waited for."""
        deadline = time.monotonic() + RESTARTED_S
        while time.monotonic() < deadline:
            pid = next((p["pid"] for p in self.running.addresses()["processes"] if p["name"] == name), None)
            try:
                if pid is not None and pid not in self._killed:
                    os.kill(pid, number)
                    if number is signal.SIGKILL:
                        self._killed.add(pid)
                        self._frozen.pop(pid, None)
                    return int(pid)
            except ProcessLookupError:
                pass
            self._wait_until(time.monotonic() + 0.1)
        return None

    def _join(self, name: str) -> None:
        self.joins += 1
        log = (self.folder / f"{name}.log").open("ab")
        state = str(self.folder / "guests" / name)
        argv = ["worker", "--port", "0", "--state", state]
        self._guests[name] = self.running.popen(*argv, log=log)

    def _wait_until(self, moment: float) -> None:
        while time.monotonic() < moment:
            self._thaw()
            time.sleep(0.05)

    def _thaw(self, all_of_them: bool = False) -> None:
        now = time.monotonic()
        for pid in [pid for pid, until in self._frozen.items() if until <= now or all_of_them]:
            del self._frozen[pid]
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
