"""Worker processes that decode untrusted images."""
