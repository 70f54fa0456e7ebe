"""The tables of what nodes tell, by day of arrival."""

from services.kernel import locks
from services.kernel.partitions import DailyPartitions

PARTITIONS = DailyPartitions(
    "deploy", dict.fromkeys(("container_logs", "event_logs", "container_stats"), "arrived_on"), locks.DEPLOY_PARTITIONS
)
