"""Notifications of object stores: which objects may have changed."""
