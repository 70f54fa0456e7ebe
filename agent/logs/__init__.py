"""Container logs on their way from the engine to the master, and to a forwarder."""
