"""The catalog and the configuration that a link is judged by: a running installation's, or a file's."""

from __future__ import annotations

import time
from pathlib import Path

from console.errors import ConsoleError
from console.installation import Installation
from console.links.address import Ground
from ingest.catalog_index import CatalogIndex
from ingest.catalog_log import read_catalog_log
from ingest.config import IngestConfig, read_config
from ingest.errors import ConfigInvalid
from schemas.catalog import Catalog, load_catalog
from schemas.urls import read_web_url

READ_TIMEOUT_S = 15.0
CONFIG_FILE = "ingest.yaml"


def ground_of(installation: Installation, base: str | None = None) -> Ground:
    """The catalog in effect now, and what the installation's folder says. ConsoleError while there is no catalog."""
    log = read_catalog_log(installation.broker(), READ_TIMEOUT_S)
    if log.latest is None:
        raise ConsoleError("no catalog has been applied yet; do so with `accredit catalog apply catalog.yaml`.")
    number, catalog = log.in_effect(time.time_ns() // 1_000_000)
    config = config_of(installation.data)
    return made(catalog, number, config, base or config.links.base_url or installation.ingest)


def ground_of_file(file: Path, folder: Path, base: str | None = None) -> Ground:
    """The catalog of a file, with nothing running. CatalogInvalid if it cannot be used."""
    config = config_of(folder)
    catalog = load_catalog(file.read_text(encoding="utf-8"), str(file))
    return made(catalog, 1, config, base or config.links.base_url)


def config_of(folder: Path) -> IngestConfig:
    """What ``ingest.yaml`` in the folder says, the defaults where there is none."""
    file = folder / CONFIG_FILE
    try:
        return read_config(file if file.exists() else None)
    except ConfigInvalid as error:
        raise ConsoleError(str(error)) from None


def made(catalog: Catalog, number: int, config: IngestConfig, base: str | None) -> Ground:
    """ConsoleError where nobody says what the tracking domain is."""
    if base is None:
        hint = "name it with --base https://go.example.com, or as links.base_url in ingest.yaml"
        raise ConsoleError(f"the tracking domain is not known: {hint}.")
    url = read_web_url(base)
    if url is None or url.rest not in ("", "/"):
        raise ConsoleError(f"{base!r} is not a tracking domain like https://go.example.com, without a path.")
    return Ground(catalog, CatalogIndex.of(number, catalog), config, url.origin)
