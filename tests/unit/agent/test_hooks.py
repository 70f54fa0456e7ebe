"""Which hooks run, and how the master is asked about one-shot ones."""

import asyncio

import pytest

from agent.domain.errors import MasterNeeded
from agent.domain.hooks import Hook, due, oneshots
from agent.hook_journal import HookJournal
from agent.logs.written_lines import WrittenLines
from kontena.deploy.v1 import assignment_pb2 as pb

ONCE = Hook("pre_start/migrate", "pre_start", "migrate", oneshot=True)
ALWAYS = Hook("pre_start/check", "pre_start", "check", oneshot=False)
LATER = Hook("post_start/tell", "post_start", "tell", oneshot=False)


def test_hooks_of_a_moment_run_in_order() -> None:
    assert due([ONCE, LATER, ALWAYS], "pre_start", []) == [ONCE, ALWAYS]
    assert oneshots([ONCE, ALWAYS]) == [ONCE.id]


def test_a_one_shot_hook_that_ran_is_not_due_and_others_are() -> None:
    assert due([ONCE, ALWAYS], "pre_start", [ONCE.id, ALWAYS.id]) == [ALWAYS]


def test_a_hook_is_known_to_users_by_its_moment_and_name() -> None:
    assert ONCE.title == "pre_start hook migrate"


async def test_the_answer_names_the_hooks_that_may_run() -> None:
    journal = HookJournal()
    asking = asyncio.create_task(journal.started("i1", ["a", "b"]))
    question = await journal.next()
    assert (question.instance_id, list(question.hook_ids)) == ("i1", ["a", "b"])
    journal.answer(pb.HookStartedAck(sequence=question.sequence, run=["b"]))
    assert await asking == {"b"}


async def test_a_question_outlives_its_stream_and_the_patience_of_who_asked() -> None:
    journal = HookJournal(patience=0.01)
    with pytest.raises(MasterNeeded):
        await journal.started("i1", ["a"])
    first = await journal.next()
    journal.start_over()
    again = await journal.next()
    assert again == first
    journal.answer(pb.HookStartedAck(sequence=first.sequence, run=["a"]))
    assert await journal.started("i1", ["a"]) == {"a"}
    journal.start_over()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await journal.next()


async def test_a_question_is_the_same_attempt_however_often_it_is_sent_and_the_next_one_is_another() -> None:
    journal = HookJournal(patience=0.01)
    with pytest.raises(MasterNeeded):
        await journal.started("i1", ["a"])
    first = await journal.next()
    assert first.attempt
    journal.start_over()
    assert (await journal.next()).attempt == first.attempt
    with pytest.raises(MasterNeeded):
        await journal.started("i1", ["b"])
    assert (await journal.next()).attempt not in ("", first.attempt)


async def test_an_answer_to_nothing_changes_nothing() -> None:
    journal = HookJournal(patience=0.01)
    journal.answer(pb.HookStartedAck(sequence=7, run=["a"]))
    with pytest.raises(MasterNeeded):
        await journal.started("i1", ["a"])


def test_output_becomes_lines_per_stream_up_to_a_limit() -> None:
    written = WrittenLines()
    for stream, data in (("stdout", b"one\ntw"), ("stderr", b"bad\n"), ("stdout", b"o\n")):
        written.add(stream, data)
    assert written.finished() == [("stdout", [b"one", b"two"]), ("stderr", [b"bad"])]
    written.add("stdout", b"x" * 1_000_000)
    assert sum(len(line) for _, lines in written.finished() for line in lines) < 300_000
