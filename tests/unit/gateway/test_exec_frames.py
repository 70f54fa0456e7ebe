"""Frames of the exec WebSocket: what a client may say when, and that answers are JSON whatever a program prints."""

import json

import pytest

from gateway.exec_bridge.frames import BadFrame, ClientFrames, ServerFrames, error, pieces
from gateway.exec_bridge.target import parse
from kontena.deploy.v1 import node_command_pb2 as command_pb


def started(*, interactive: bool = True, tty: bool = True) -> ClientFrames:
    frames = ClientFrames(interactive=interactive, tty=tty)
    frames.read('{"cmd":["sh"]}')
    return frames


def test_frames_become_messages() -> None:
    frames = ClientFrames(interactive=True, tty=True)
    assert list(frames.read('{"cmd":["ls","-l",""]}').cmd.cmd) == ["ls", "-l", ""]
    size = frames.read('{"tty_size":{"width":80,"height":24}}').size
    assert (size.width, size.height) == (80, 24)
    assert frames.read('{"stdin":"h\\u00e9\\n"}').input.data == "h\u00e9\n".encode()
    assert frames.read('{"stdin":"\\ud800"}').input.data == b"?"
    assert frames.read('{"stdin":null}').input.end


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        ("{", "one JSON object"),
        ("[1]", "one JSON object"),
        ("[" * 100_000, "one JSON object"),
        (b'{"stdin":"a"}', "must be text"),
        ("{}", "cmd, stdin or tty_size"),
        ('{"cmd":["sh"]}', "already"),
        ('{"stdin":1}', "must be text"),
        ('{"tty_size":null}', "object"),
        ('{"tty_size":{"width":0,"height":1}}', "width"),
        ('{"tty_size":{"width":1,"height":true}}', "height"),
        ('{"tty_size":{"width":1,"height":65536}}', "height"),
    ],
)
def test_what_breaks_the_protocol_is_named(frame: str | bytes, complaint: str) -> None:
    with pytest.raises(BadFrame, match=complaint):
        started().read(frame)


@pytest.mark.parametrize(
    "frame",
    ['{"stdin":"a"}', '{"tty_size":{"width":1,"height":1}}', "{}", '{"cmd":[]}', '{"cmd":"ls"}', '{"cmd":[1]}'],
)
def test_cmd_comes_first(frame: str) -> None:
    with pytest.raises(BadFrame, match="cmd"):
        ClientFrames(interactive=True, tty=True).read(frame)


def test_input_and_size_need_their_flag() -> None:
    frames = started(interactive=False, tty=False)
    with pytest.raises(BadFrame, match="interactive=true"):
        frames.read('{"stdin":"a"}')
    with pytest.raises(BadFrame, match="tty=true"):
        frames.read('{"tty_size":{"width":1,"height":1}}')


def test_input_ends_once() -> None:
    frames = started()
    frames.read('{"stdin":null}')
    with pytest.raises(BadFrame, match="ended"):
        frames.read('{"stdin":"more"}')


def output(data: bytes, stream: str = "stdout") -> command_pb.ExecOutput:
    return command_pb.ExecOutput(stream=stream, data=data)


def test_characters_stay_whole_and_odd_bytes_are_replaced() -> None:
    words = ServerFrames()
    pieces = [output(b"a\xe2\x82"), output(b"\xc3", "stderr"), output(b"\xac"), output(b"\xff\x00\xe2")]
    frames = [json.loads(frame) for piece in pieces for frame in words.output(piece)]
    frames += [json.loads(frame) for frame in words.exit(7)]
    assert frames == [
        {"stream": "stdout", "chunk": "a"},
        {"stream": "stdout", "chunk": "\u20ac"},
        {"stream": "stdout", "chunk": "\ufffd\0"},
        {"stream": "stdout", "chunk": "\ufffd"},
        {"stream": "stderr", "chunk": "\ufffd"},
        {"exit": 7},
    ]
    assert json.loads(error('a "b"')) == {"error": 'a "b"'}


@pytest.mark.parametrize(
    ("path", "container", "flags"),
    [
        ("/v1/containers/g/n/c/exec", "g/n/c", set()),
        ("/v1/containers/g/n%201/c/exec?interactive=true&tty=1&shell=true", "g/n 1/c", {"interactive", "shell"}),
        ("/v1/containers/g/n/c/exec?tty=false&tty=true", "g/n/c", {"tty"}),
    ],
)
def test_only_true_turns_a_flag_on(path: str, container: str, flags: set[str]) -> None:
    target = parse(path)
    assert target is not None
    assert target.container == container
    assert {name for name in ("interactive", "tty", "shell") if getattr(target, name)} == flags


def test_a_path_without_a_node_is_for_the_service_to_refuse() -> None:
    target = parse("/v1/containers/g/c/exec")
    assert target is not None
    assert target.container == "g/c"


def test_long_input_is_passed_on_in_pieces() -> None:
    (request,) = pieces(started().read('{"stdin":"short"}'))
    assert request.input.data == b"short"
    text = "\u00e9" * 300_000
    parts = list(pieces(started().read(json.dumps({"stdin": text}))))
    assert max(len(part.input.data) for part in parts) <= 64 * 1024
    assert b"".join(part.input.data for part in parts).decode() == text
    assert [part.input.end for part in pieces(started().read('{"stdin":null}'))] == [True]


@pytest.mark.parametrize("path", ["/v1/containers/exec", "/v1/containers/g//c/exec", "/v1/containers/g/n/c/execs"])
def test_other_paths_are_no_target(path: str) -> None:
    assert parse(path) is None
