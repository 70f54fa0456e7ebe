"""Messages to domain objects and back: total functions without I/O."""
