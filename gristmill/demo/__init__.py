"""Workload to show: items of about a known size, for `demo` and `compare`."""
