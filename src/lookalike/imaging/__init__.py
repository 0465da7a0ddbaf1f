"""Decoding images: formats, pixels, thumbnails, color names."""
