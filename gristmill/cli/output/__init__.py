"""What commands print of results, programs and progress."""
