"""Answers are compressed for those who ask, streams never."""

import gzip
import json
from typing import Any

import brotli  # type: ignore[import-untyped]
import httpx
import pytest

from tests.integration.gateway.conftest import Caller
from tests.integration.gateway.proxy import Gateway
from tests.integration.gateway.wire import connect

LOGS = "/v1/services/g/s/web/container_logs"
MANY = {"reply": {"grids": [{"name": f"grid-{number}"} for number in range(200)]}}


def raw(gateway: Gateway, path: str, plan: Any, accept: str) -> tuple[httpx.Headers, bytes]:
    """Headers and undecoded bytes."""
    headers = {"accept-encoding": accept, "x-test": json.dumps(plan)}
    with httpx.stream("GET", f"{gateway.url}{path}", headers=headers) as response:
        assert response.status_code == 200
        return response.headers, b"".join(response.iter_raw())


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, br", "br"),
        ("br;q=0.5, gzip", "gzip"),
        ("identity", None),
        ("zstd", None),
    ],
)
def test_coding_is_what_the_client_prefers(gateway: Gateway, accept: str, coding: str | None) -> None:
    headers, content = raw(gateway, "/v1/grids", MANY, accept)
    assert headers.get("content-encoding") == coding
    decode = {"gzip": gzip.decompress, "br": brotli.decompress, None: bytes}[coding]
    assert len(json.loads(decode(content))["grids"]) == 200
    if coding:
        assert "accept-encoding" in headers["vary"].lower()
        assert len(content) < 4000


def test_small_answers_are_not_worth_it(gateway: Gateway) -> None:
    assert "content-encoding" not in raw(gateway, "/v1/grids", {}, "gzip, br")[0]


def test_an_entity_tag_names_one_representation(gateway: Gateway) -> None:
    headers, _ = raw(gateway, "/v1/grids", {**MANY, "initial": [["etag", '"7"']]}, "gzip, br")
    assert (headers["etag"], headers.get("content-encoding")) == ('"7"', None)


def test_errors_are_compressed_too(call: Caller) -> None:
    plan = {"abort": ["INVALID_ARGUMENT", "m"], "trailing": [["x-http-status", "422"], ["x-error-json", _LONG]]}
    response = call("GET", "/v1/grids", plan=plan, accept_encoding="gzip")
    assert response.headers["content-encoding"] == "gzip"
    assert (response.status_code, response.json()) == (422, json.loads(_LONG))


_LONG = json.dumps({"error": {f"field_{number}": "is wrong" for number in range(100)}})


def test_streams_keep_one_chunk_per_message(gateway: Gateway) -> None:
    with connect(gateway.target) as connection:
        connection.send("GET", f"{LOGS}?follow=1", x_test=json.dumps({"burst": 300}), accept_encoding="gzip, br")
        _, headers = connection.head()
        assert "content-encoding" not in headers
        assert [json.loads(chunk)["id"] for chunk in connection.chunks()] == [str(number) for number in range(300)]
