"""Drawing of products: outlines, parts, patterns, painting and scenes."""
