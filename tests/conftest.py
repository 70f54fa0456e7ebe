"""Fixtures for every room of the suite."""

from collections.abc import Iterator

import pytest

from tests.support.postgres import TestPostgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[TestPostgres]:
    """A real Postgres for this worker."""
    server = TestPostgres()
    yield server
    server.stop()
