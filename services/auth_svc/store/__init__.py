"""SQL of auth_svc, one module per noun."""
