"""Keeps gRPC from telling of each server that stops (`Got goaway`), which tests let them do all the time.

What is wrong it still says. It reads this once, when it is loaded, so conftest.py loads this module first.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
