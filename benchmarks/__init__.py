"""What measures this and its peers side by side."""
