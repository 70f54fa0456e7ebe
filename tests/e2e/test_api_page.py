"""The examples of docs/api.md, run one after the other on the running suite: they print what the page says."""

import contextlib
import io
import re

import pytest

from tests.support.engine import Engine
from tests.support.suite import REPOSITORY, Api

PAGE = (REPOSITORY / "docs/api.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", PAGE, re.DOTALL)


def test_the_examples_print_what_the_page_says(api: Api, suite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"KONTENA_URL": api.url, "KONTENA_TOKEN": api.token, "KONTENA_GRID": api.grid}.items():
        monkeypatch.setenv(name, value)
    suite_engine.import_busybox("busybox:latest")
    assert len(EXAMPLES) >= 5
    names: dict[str, object] = {}
    for source, printed in EXAMPLES:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(source, "docs/api.md", "exec"), names)  # noqa: S102 -- our own page.
        assert out.getvalue() == printed, source
