"""Compares two commits of Gristmill: runs them by turns on the same cores, and tells a few percent apart."""
