"""The node agent: brings one node's containers to the state the master wants and tells the master what it sees."""

import os

# The agent starts programs; gRPC prepares its threads for a fork that goes on without a new program, and warns on each.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
