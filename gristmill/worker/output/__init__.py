"""What items write: told apart by item, kept with the outcome, sent to those who listen."""
