"""What `make up` leaves on the machine, and what its commands say."""

import os
import stat

from tests.support.suite import Suite


def test_nobody_else_reads_what_the_suite_keeps(suite: Suite) -> None:
    assert stat.S_IMODE(suite.var.stat().st_mode) & 0o067 == 0, "others may not even pass, Postgres passes only"
    open_to_others = []
    for folder, names, files in os.walk(suite.var):
        if "postgres" in names:
            # Its files are its own business: nobody else gets there.
            names.remove("postgres")
            files.append("postgres")
        paths = [suite.var / folder / name for name in (*names, *files)]
        open_to_others += [path.name for path in paths if path.stat().st_mode & 0o077]
    # A number, which circus makes readable.
    assert set(open_to_others) <= {"circus.pid"}
