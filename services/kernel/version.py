"""The one version number of the product, and which others work with it."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

_PROJECT = Path(__file__).parents[2] / "pyproject.toml"
_NUMBER = re.compile(r"(\d{1,9})\.(\d{1,9})(?:\.\d{1,9})*(?P<pre>[-.+].+)?", re.ASCII)


def _own() -> str:
    if _PROJECT.is_file():
        return str(tomllib.loads(_PROJECT.read_text())["project"]["version"])
    return version("kontena-master")


# Of this source tree, or of the installed distribution where there is no source tree.
VERSION = _own()


def works_with(theirs: str, ours: str = VERSION) -> bool:
    """Whether a neighbour of the version `theirs` is promised to work: same major number, and a minor number that
    differs by one at most; a pre-release needs a pre-release."""
    own, other = _NUMBER.fullmatch(ours), _NUMBER.fullmatch(theirs)
    if own is None or other is None:
        return False
    near = own[1] == other[1] and abs(int(own[2]) - int(other[2])) <= 1
    return near and (other["pre"] is None or own["pre"] is not None)


def window(ours: str = VERSION) -> str:
    """The versions that work with `ours`, in words: `1.5 to 1.7`."""
    major, minor = (int(part) for part in ours.split(".")[:2])
    return f"{major}.{max(minor - 1, 0)} to {major}.{minor + 1}"


def precedes(one: str, other: str) -> bool:
    """Whether the numbers of `one` are lower than those of `other`; words behind them do not count."""
    return _numbers(one) < _numbers(other)


def _numbers(text: str) -> tuple[int, ...]:
    found = re.match(r"\d{1,9}(?:\.\d{1,9})*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
