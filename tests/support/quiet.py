"""How gRPC behaves in the processes of the tests. It reads this once, so conftest.py loads this module first.

Keeps it from telling of each server that stops (`Got goaway`), which tests let them do all the time; what is wrong it
still says. And keeps its hands off children: as root, tests start programs as another user, for which Python forks, and
what gRPC does then in the child of a process with threads ended some of them with a segmentation fault.

Neither does logging tell, in the output of another test, of handlers whose stream was one of a test that is over.
"""

import logging
import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
logging.raiseExceptions = False
