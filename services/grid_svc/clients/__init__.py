"""Other services that grid_svc calls."""
