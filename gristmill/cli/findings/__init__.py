"""What `gristmill doctor` finds, and what it mends."""
