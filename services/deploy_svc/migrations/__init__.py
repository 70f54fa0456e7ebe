"""Schema history of deploy_svc."""
