"""Stacks, services, deploys, instances, logs; the scheduler and the control loops."""
