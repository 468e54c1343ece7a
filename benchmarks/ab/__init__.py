"""Compares two commits of Gristmill, or two settings of one: by turns on the same cores, to within a few percent."""
