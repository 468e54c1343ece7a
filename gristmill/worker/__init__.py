"""What a worker does beside Celery: it runs chunks, sends heartbeats, guards its pool and drains."""
