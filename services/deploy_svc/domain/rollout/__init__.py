"""How a deploy proceeds: one pure step from what is to what shall be done (docs/spec/orchestration.md section 2).
`step.py` is where it begins."""

from services.deploy_svc.domain.rollout.step import next_step

__all__ = ["next_step"]
