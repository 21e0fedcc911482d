"""What a test may do, by its marks: without one, no socket; without a Docker engine, no container."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Sequence

import pytest

WITH_SOCKETS = ("integration", "e2e", "docker")


@functools.cache
def why_no_docker() -> str | None:
    """Why containers cannot run here; None if they can."""
    docker = shutil.which("docker")
    if docker is None:
        return "no Docker: there is no docker command"
    try:
        found = subprocess.run([docker, "info", "--format", "{{.ServerVersion}}"], capture_output=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "no Docker: its engine does not answer"
    return None if found.returncode == 0 and found.stdout.strip() else "no Docker: no engine answers"


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Let marked tests have sockets; skip what needs Docker where there is none, with the reason."""
    for item in items:
        if any(item.get_closest_marker(name) for name in WITH_SOCKETS):
            item.add_marker(pytest.mark.enable_socket)
        if item.get_closest_marker("docker") and (reason := why_no_docker()) is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
