"""The process that converts files: what is told of it when it fails."""

import subprocess
from typing import Any

import pytest

from services.deploy_svc.clients.converter import Converter
from services.deploy_svc.domain.stack_source import Source

TRACEBACK = b"""Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "/app/services/deploy_svc/domain/stack_conversion.py", line 12, in convert
ValueError: PASSWORD is open-sesame
"""


async def test_a_failure_is_told_by_its_place_and_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(command, 1, b"", TRACEBACK)

    monkeypatch.setattr(subprocess, "run", fails)
    with pytest.raises(RuntimeError) as error:
        await Converter().convert(
            Source(files={"a.yml": ""}), kind=None, ignore_unsupported=False, known_secrets=frozenset()
        )
    assert 'stack_conversion.py", line 12' in str(error.value)
    assert "open-sesame" not in str(error.value)
