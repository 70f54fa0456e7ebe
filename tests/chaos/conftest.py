"""What the tests of this folder need of the running suite."""

import pytest


@pytest.fixture(scope="session")
def installs() -> bool:
    """The tests of e2e are on a suite that does."""
    return False
