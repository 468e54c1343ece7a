"""Many live batches, and many workers: what they cost the server."""
