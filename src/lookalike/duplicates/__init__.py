"""Duplicates: proposing, confirming, grouping, and acting on copies."""
