"""Where the server is and who runs it: the home directory, the private server, the connection."""
