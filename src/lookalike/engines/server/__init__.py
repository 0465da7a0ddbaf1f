"""The server engine: a collection on a Qdrant server or cluster."""
