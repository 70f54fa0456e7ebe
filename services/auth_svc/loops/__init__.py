"""Background work of auth_svc."""
