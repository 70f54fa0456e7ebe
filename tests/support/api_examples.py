"""Replays the examples of the API page on a running suite."""

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from gateway.openapi.examples import FOLDER, Example
from tests.support.api_document import OPERATIONS, check_against_document
from tests.support.suite import Api

# What is another value each time, and may come later than an answer: it has to be of the same kind, if it is there.
_OTHER_EACH_TIME = {
    "created_at", "updated_at", "finished_at", "token", "state", "reason", "seconds", "access_token",
    "refresh_token", "access_token_last_four", "refresh_token_last_four", "expires_in", "record_content", "server",
    "asked_by", "instance_deploys", "service_deploys", "health_status", "instance_counts", "deploy_rev", "node_id",
    "user_count", "service_count", "container_count", "node_count",
}  # fmt: skip


class Story:
    """One replay. `known` are values of the examples with what they are in this run; ids and codes are learned from the
    answers."""

    def __init__(self, api: Api, known: Mapping[str, str]) -> None:
        self._api = api
        self.known = dict(known)
        self.answers: dict[str, Any] = {}

    def tell(self, example: Example) -> Any:
        """Send the request; the answer has to be that of the example."""
        verb, template = example.call.split()
        path = self._real(template)
        for name, value in example.path.items():
            path = path.replace(f"{{{name}}}", quote(self._real(value), safe=""))
        query = "&".join(f"{name}={quote(self._real(value), safe='')}" for name, value in example.query.items())
        target = f"{path}?{query}" if query else path
        answer = self._api.request(verb, target, self._real(example.body), follow_redirects=False)
        assert answer.status_code == example.status, f"{verb} {target}: {answer.status_code} {answer.text[:300]}"
        check_against_document(answer, OPERATIONS[verb, template])
        if example.status == 302:
            return None
        found = answer.json()
        self.answers[example.call] = self._shown(found, example.answer)
        if os.environ.get("KONTENA_GOLDEN") != "write":
            self._compare(example.answer, found, example.call)
        self._learn(example.answer, found)
        return found

    def _real(self, value: Any) -> Any:
        text = json.dumps(value)
        for shown, real in self.known.items():
            text = text.replace(shown, real)
        return json.loads(text)

    def _learn(self, shown: Any, found: Any) -> None:
        if isinstance(shown, dict) and isinstance(found, dict):
            for name in ("id", "code"):
                if isinstance(text := shown.get(name), str) and "/" not in text and text != found.get(name):
                    self.known.setdefault(text, str(found[name]))

    def _compare(self, shown: Any, found: Any, place: str) -> None:
        if isinstance(shown, dict):
            assert isinstance(found, dict), place
            for name, value in shown.items():
                if name in _OTHER_EACH_TIME or (name in {"id", "code"} and "/" not in str(value)):
                    assert name not in found or type(found[name]) is type(value), f"{place}.{name}"
                else:
                    assert name in found, f"{place}.{name}: not in {found}"
                    self._compare(value, found[name], f"{place}.{name}")
        elif isinstance(shown, list):
            assert isinstance(found, list), place
            for item in shown:
                assert any(self._fits(item, one) for one in found), f"{place}: {item} is not in {found}"
        else:
            assert self._real(shown) == found, place

    def _fits(self, shown: Any, found: Any) -> bool:
        try:
            self._compare(shown, found, "")
        except AssertionError:
            return False
        return True

    def _shown(self, found: Any, before: Any) -> Any:
        """The answer as an example: what is other each time stays as it was."""
        if isinstance(found, dict):
            known = before if isinstance(before, dict) else {}
            shown = {}
            for name, value in found.items():
                other = name in _OTHER_EACH_TIME or (name in {"id", "code"} and "/" not in str(value))
                shown[name] = known[name] if other and name in known else self._shown(value, known.get(name))
            return shown
        if isinstance(found, list):
            # What others have in this suite is no part of the story.
            ours = [one for one in found if not isinstance(one, dict) or self._is_known(one)]
            return [self._shown(one, None) for one in ours]
        text = json.dumps(found)
        for shown_, real in self.known.items():
            text = text.replace(real, shown_)
        return json.loads(text)

    def _is_known(self, item: Any) -> bool:
        return "id" not in item or any(real in json.dumps(item) for real in self.known.values())


def write(answers: Mapping[str, Any]) -> None:
    """Put answers into the files, by call."""
    for file in FOLDER.glob("*.json"):
        told = json.loads(file.read_text())
        for one in told:
            if one["call"] in answers:
                one["answer"] = answers[one["call"]]
        file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
