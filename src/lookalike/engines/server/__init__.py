"""The server engine: a collection on a Qdrant server or cluster."""

import os

# gRPC's core writes failures that are handled here to the terminal; it reads this when it loads.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
