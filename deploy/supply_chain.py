"""What the suite is made of: known vulnerabilities of the locked dependencies, and a bill of materials.

python -m deploy.supply_chain audit           fails when a locked version has a known vulnerability
python -m deploy.supply_chain sbom FILE       CycloneDX document of all that is installed, licences included
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def verdict(report: dict[str, Any]) -> tuple[int, str]:
    """Exit code and one paragraph for people, from the report of pip-audit.

    A dependency that nobody could ask about is said to be unchecked, never counted as clean.
    """
    dependencies = report["dependencies"]
    found = [
        f"{one['name']} {one['version']}: {hit['id']}, fixed in {', '.join(hit['fix_versions']) or 'no version yet'}"
        for one in dependencies
        for hit in one.get("vulns", ())
    ]
    unchecked = sum("skip_reason" in one for one in dependencies)
    if found:
        return 1, "\n".join(("Known vulnerabilities:", *found))
    if unchecked == len(dependencies):
        return 0, "NOT CHECKED for known vulnerabilities: no advisory service can be reached from here."
    left = f"; {unchecked} could not be checked" if unchecked else ""
    return 0, f"No known vulnerability in {len(dependencies) - unchecked} locked dependencies{left}."


def audit() -> int:
    """Ask the advisory service about every locked version of what the suite runs on."""
    done = subprocess.run(  # noqa: S603
        [
            *(_tool("pip-audit"), "--disable-pip", "--require-hashes", "--progress-spinner", "off"),
            *("--requirement", ROOT / "requirements.txt", "--format", "json"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    try:
        code, words = verdict(json.loads(done.stdout))
    except ValueError:
        code, words = (
            0,
            f"NOT CHECKED for known vulnerabilities: {(done.stderr.strip() or 'no answer').splitlines()[-1]}",
        )
    print(words)  # noqa: T201
    return code


def sbom(target: str) -> int:
    """Write the bill of materials of the environment that runs this."""
    command: list[str | Path] = [
        _tool("cyclonedx-py"),
        "environment",
        sys.prefix,
        "--pyproject",
        ROOT / "pyproject.toml",
    ]
    return subprocess.run([*command, "--output-reproducible", "-o", target], timeout=300, check=False).returncode  # noqa: S603


def _tool(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def main(arguments: list[str]) -> int:
    """Run the command; 2 with its usage when it is none."""
    match arguments:
        case ["audit"]:
            return audit()
        case ["sbom", target]:
            return sbom(target)
        case _:
            print(__doc__, file=sys.stderr)  # noqa: T201
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
