"""Operations on an instance (docs/spec/orchestration.md section 8.4); `operations.py` has the order of their steps."""

from agent.operations.operations import Operations

__all__ = ["Operations"]
