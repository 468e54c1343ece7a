"""What a worker does beside Celery: it runs chunks, shows signs of life, guards its pool and drains."""
