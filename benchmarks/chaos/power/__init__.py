"""Cuts the power of a server: what was not flushed to disk is lost. Then counts what of the answered calls is gone."""
