"""Helpers that know nothing of images: processes, files, locks, memory, times, text."""
