"""What a slot does: it runs the items of a chunk, each within its limits, and records their outcomes."""
