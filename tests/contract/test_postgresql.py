"""What only PostgreSQL has: versions that are too old."""

from types import SimpleNamespace

import pytest

from dropload.errors import ConfigError
from dropload.targets.postgresql.target import refuse_old_server


def connection(version: int) -> SimpleNamespace:
    return SimpleNamespace(info=SimpleNamespace(server_version=version))


def test_a_server_that_is_too_old_is_refused_by_its_version() -> None:
    with pytest.raises(ConfigError, match="PostgreSQL 11; dropload needs 12 or later"):
        refuse_old_server(connection(110_022), None)
    refuse_old_server(connection(120_000), None)
