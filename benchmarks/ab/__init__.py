"""Compares two commits of Gristmill, or two settings of one: runs them by turns on the same cores, and tells a few percent apart."""
