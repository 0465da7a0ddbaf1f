"""Image decoding, thumbnails and color names."""
