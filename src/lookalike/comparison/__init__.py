"""Pixel comparison of two images. Pure: no index, no files."""
