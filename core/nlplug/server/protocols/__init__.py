"""The wire formats of clients, one module each."""
