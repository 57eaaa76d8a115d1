"""What readers answered: tables, an append-only log, and the only code that writes them."""
