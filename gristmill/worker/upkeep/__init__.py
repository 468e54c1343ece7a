"""What any live worker does for the whole fleet, when it is due."""
