"""Messages from and to domain values."""
