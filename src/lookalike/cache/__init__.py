"""The thumbnail cache: fast to have, safe to lose."""
