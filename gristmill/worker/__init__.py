"""A Celery worker with our steps: it takes messages, sends heartbeats, ends runs that were cancelled, and drains."""
