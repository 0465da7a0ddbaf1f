"""Descriptors: image in, vector out. One file each."""
