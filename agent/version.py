"""Version of the agent; the master accepts agents of its own major and minor version."""

VERSION = "1.5.5"
