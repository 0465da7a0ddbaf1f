"""The search for duplicates in a whole index, in files, within a memory given."""
