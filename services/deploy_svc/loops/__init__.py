"""Background work of deploy_svc."""
