"""The processes of this host: the private server, workers and the dashboard, started and ended together."""
