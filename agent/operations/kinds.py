"""Types of the events that operations tell (docs/spec/orchestration.md section 8.10)."""

CREATE = "service:create_instance"
START = "service:start_instance"
STOP = "service:stop_instance"
RESTART = "service:restart_instance"
REMOVE = "service:remove_instance"
