"""Peers, each in an environment of its own: what they are measured with runs there, not here."""
