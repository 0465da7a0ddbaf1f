"""Copies, backups and capacity of a whole index."""
