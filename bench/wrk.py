"""wrk, and nginx with a bare 302 to hold the front door against: both from Debian, run from folders of our own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from bench.rivals.run import CannotRun
from deploy.local.ports import LOOPBACK, can_bind, free_port
from deploy.local.process import Child

PACKAGES = {"wrk": "wrk", "nginx": "nginx-light"}
PATHS = os.pathsep.join([os.defpath, "/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/local/bin"])
SYSTEM_NGINX = Path("/run/nginx.pid")
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
DEADLINE_S = 10.0
HEADERS = (
    "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.9",
    "Accept-Encoding: gzip, deflate, br",
    "Referer: https://blog.example/lamps",
)
"""What a browser sends."""
NGINX_CONF = """
worker_processes auto;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen {host}:{port} reuseport; location / {{ return 302 https://shop.example/; }} }}
}}
"""


class Measured(NamedTuple):
    """Of one run of wrk; latencies in milliseconds. ``bad``: answers outside 2xx and 3xx, and lost connections."""

    per_s: float
    p50_ms: float
    p99_ms: float
    bad: int


def program(name: str) -> str:
    """The path of wrk or nginx, installed with apt-get where it is missing. CannotRun says what to do."""
    found = shutil.which(name, path=PATHS)
    if found is None:
        install(name)
        found = shutil.which(name, path=PATHS)
    if found is None:
        raise CannotRun(f"{name} is not here. Install it: apt-get install {PACKAGES[name]}")
    return found


def install(name: str) -> None:
    package = PACKAGES[name]
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise CannotRun(f"{name} is not here, and we may not install it. As root: apt-get install {package}")
    print(f"installing {package} from Debian …", flush=True)
    served = SYSTEM_NGINX.exists()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", package]):
        done = subprocess.run([apt, *command], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise CannotRun(f"apt-get {' '.join(command)} failed: {last}")
    if SYSTEM_NGINX.exists() and not served:  # the package starts its service, which nobody asked for
        os.kill(int(SYSTEM_NGINX.read_text()), signal.SIGQUIT)


class Nginx:
    """nginx in a folder of its own, on loopback, until ``stop``."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir()
        conf = folder / "nginx.conf"
        conf.write_text(NGINX_CONF.format(folder=folder, host=LOOPBACK, port=self.port))
        self._child = Child("nginx", [program("nginx"), "-c", str(conf)], folder / "nginx.log")

    def start(self) -> str:
        """Its URL, once it listens."""
        self._child.start()
        deadline = time.monotonic() + DEADLINE_S
        while can_bind(self.port):
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise CannotRun(f"nginx did not start: {self._child.log_path.read_text().strip()}")
            time.sleep(0.05)
        return f"http://{LOOPBACK}:{self.port}/"

    def stop(self) -> None:
        self._child.stop(5)


def wrk(url: str, connections: int, seconds: float, script: Path | None = None) -> Measured:
    """One run, keep-alive, as a browser asks; with ``script``, as that says."""
    threads = min(connections, 2)
    command = [program("wrk"), f"-t{threads}", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "30s", "--latency"]
    for header in HEADERS if script is None else ():
        command += ["-H", header]
    if script is not None:
        command += ["-s", str(script)]
    out = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    bad = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", out)))
    for errors in re.findall(r"Socket errors: (.*)", out):
        bad += sum(map(int, re.findall(r"\d+", errors)))
    return Measured(float(found(out, r"Requests/sec:\s+([\d.]+)")), latency(out, "50%"), latency(out, "99%"), bad)


def latency(out: str, which: str) -> float:
    number, unit = re.findall(rf"\s{which}\s+([\d.]+)(us|ms|s|m)\b", out)[0]
    return float(number) * UNITS[unit]


def found(out: str, pattern: str) -> str:
    match = re.search(pattern, out)
    assert match is not None, out
    return match[1]
