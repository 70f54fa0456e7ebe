"""Delivery of statuses."""

from agent.streams.reporter import Reporter
from kontena.deploy.v1 import assignment_pb2 as pb


def status(instance: str, state: str, rev: str = "r1") -> pb.InstanceStatus:
    return pb.InstanceStatus(instance_id=instance, rev=rev, state=state)


def content(report: pb.StatusReport) -> dict[str, str]:
    return {item.instance_id: item.state for item in report.statuses}


async def test_only_the_newest_status_of_an_instance_is_sent() -> None:
    reporter = Reporter()
    reporter.put(status("a", "missing"))
    reporter.put(status("a", "running"))
    reporter.put(status("b", "stopped"))
    report = await reporter.next()
    assert content(report) == {"a": "running", "b": "stopped"}
    assert report.sequence == 1


async def test_what_is_stored_is_not_sent_again() -> None:
    reporter = Reporter()
    reporter.put(status("a", "running"))
    reporter.acknowledge((await reporter.next()).sequence)
    reporter.put(status("a", "running"))
    reporter.put(status("b", "running"))
    assert content(await reporter.next()) == {"b": "running"}


async def test_a_change_while_a_report_is_under_way_goes_into_the_next() -> None:
    reporter = Reporter()
    reporter.put(status("a", "running"))
    first = await reporter.next()
    reporter.put(status("a", "restarting"))
    reporter.acknowledge(first.sequence)
    await reporter.delivered()
    assert content(await reporter.next()) == {"a": "restarting"}


async def test_a_change_and_back_while_unconfirmed_is_sent() -> None:
    reporter = Reporter()
    reporter.put(status("a", "running"))
    reporter.acknowledge((await reporter.next()).sequence)
    reporter.put(status("a", "stopped"))
    second = await reporter.next()
    reporter.put(status("a", "running"))
    reporter.acknowledge(second.sequence)
    assert content(await reporter.next()) == {"a": "running"}


async def test_a_new_stream_gets_everything() -> None:
    reporter = Reporter()
    reporter.put(status("a", "running"))
    first = await reporter.next()
    reporter.acknowledge(first.sequence)
    reporter.start_over()
    again = await reporter.next()
    assert content(again) == {"a": "running"}
    assert again.sequence > first.sequence


async def test_a_late_confirmation_of_the_old_stream_confirms_nothing() -> None:
    reporter = Reporter()
    reporter.put(status("a", "running"))
    old = await reporter.next()
    reporter.start_over()
    new = await reporter.next()
    reporter.acknowledge(old.sequence)
    assert new.sequence > old.sequence
    reporter.start_over()
    assert content(await reporter.next()) == {"a": "running"}


async def test_a_quiet_stream_is_refreshed() -> None:
    reporter = Reporter()
    assert content(await reporter.next(refresh=0.01)) == {}
    reporter.put(status("a", "running"))
    reporter.acknowledge((await reporter.next()).sequence)
    assert content(await reporter.next(refresh=0.01)) == {"a": "running"}


async def test_forgotten_instances_are_not_reported() -> None:
    reporter = Reporter()
    reporter.put(status("a", "running"))
    reporter.put(status("b", "running"))
    reporter.forget("a")
    assert content(await reporter.next()) == {"b": "running"}
