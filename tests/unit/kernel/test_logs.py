"""What the logs say, and what they keep to themselves."""

import json
import signal
import subprocess
import sys

import pytest

from services.kernel.logs import redact


@pytest.mark.parametrize("key", ["token", "access_token", "client_secret", "PASSWORD", "invite_code", "code", "value"])
def test_values_of_secret_looking_keys_are_not_written(key: str) -> None:
    assert redact(None, "info", {key: "s3cret"}) == {key: "[redacted]"}


@pytest.mark.parametrize("key", ["exit_code", "status_code", "event", "secret_name", "codec"])
def test_other_values_are_written(key: str) -> None:
    assert redact(None, "info", {key: 137}) == {key: 137}


PROGRAM = """
import logging, os, signal
from services.kernel import logs
logs.configure("tried", "info")
log = logs.get_logger("services.tried")
def say(when):
    log.debug("ours", when=when)
    logging.getLogger("websockets").debug("of a library, with what a person typed")
with logs.passed_on(lambda number: log.warning("passed on", number=number)):
    say("before")
    os.kill(os.getpid(), signal.SIGUSR1)
    say("detailed")
    os.kill(os.getpid(), signal.SIGUSR2)
    say("afterwards")
"""


def test_signals_change_the_level_of_our_own_loggers() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line.get("when") or line.get("to")) for line in lines if line["event"] != "passed on"] == [
        ("log level changed", "debug"),
        ("ours", "detailed"),
        ("log level changed", "info"),
    ]
    assert [line["number"] for line in lines if line["event"] == "passed on"] == [signal.SIGUSR1, signal.SIGUSR2]
