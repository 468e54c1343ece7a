"""The way to Redis: the lossless transport, the connection, the home directory and its private server."""
