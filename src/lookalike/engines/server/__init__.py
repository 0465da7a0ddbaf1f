"""The server engine: a collection on a Qdrant server or cluster."""

import os

# gRPC's core reads these when it loads. It writes failures that are handled here to the terminal;
# and its handlers of forks can hang the processes that Ray forks, while no index outlives a fork.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
