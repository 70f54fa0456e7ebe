"""Runs the whole suite on this machine: Postgres, four services, gateway and one agent, kept alive by circus."""
