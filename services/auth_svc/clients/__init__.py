"""What auth_svc asks other servers."""
