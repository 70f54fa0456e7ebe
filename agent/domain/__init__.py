"""Pure decisions of the agent: no engine, no network, no clock."""
