"""Tasks that do harm to their process and its host, and what becomes of them."""
