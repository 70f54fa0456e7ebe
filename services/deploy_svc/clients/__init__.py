"""Calls that deploy_svc makes of its own kind."""
