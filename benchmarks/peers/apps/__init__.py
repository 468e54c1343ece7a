"""What runs in the environments of peers: `put.py`, `work.py` and an app for each."""
