"""SQL of deploy_svc, one module per noun. Functions take a transaction and return domain values."""
