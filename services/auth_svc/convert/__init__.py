"""Messages to and from domain values; total functions without I/O."""
