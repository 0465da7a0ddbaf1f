"""The thumbnail cache: it saves time, and can be lost without harm."""
