"""Rules and decisions of deploy_svc: pure, no I/O, no clock."""
