"""Parts of the facade, each a base class of `Index`."""
