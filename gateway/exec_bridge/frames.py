"""The JSON text frames of a session, and the messages of the gRPC stream they stand for. No I/O."""

import codecs
import json
from collections.abc import Iterator
from typing import Any

from kontena.deploy.v1 import container_exec_pb2 as pb
from kontena.deploy.v1 import node_command_pb2 as command_pb

_LARGEST_TERMINAL = 65535
# A quarter of the input that may be on its way to a node.
_PIECE = 64 * 1024


class BadFrame(Exception):
    """What a client sent breaks the protocol; the message says how."""


class ClientFrames:
    """Reads the frames of one client: `cmd` once and first, then `stdin` and `tty_size` where the query allows them."""

    def __init__(self, *, interactive: bool, tty: bool) -> None:
        self._interactive = interactive
        self._tty = tty
        self._started = False
        self._input_ended = False

    @property
    def started(self) -> bool:
        """Whether `cmd` was read."""
        return self._started

    def read(self, frame: str | bytes) -> pb.AttachExecRequest:
        """The message a frame stands for. Raises BadFrame."""
        document = _document(frame)
        if "cmd" in document:
            return self._cmd(document["cmd"])
        if not self._started:
            raise BadFrame('the first frame must be {"cmd": ["word", ...]}')
        if "stdin" in document:
            return self._stdin(document["stdin"])
        if "tty_size" in document:
            return self._size(document["tty_size"])
        raise BadFrame("a frame has cmd, stdin or tty_size")

    def _cmd(self, words: Any) -> pb.AttachExecRequest:
        if self._started:
            raise BadFrame("cmd was sent already")
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise BadFrame("cmd must be a list of words")
        self._started = True
        return pb.AttachExecRequest(cmd=pb.ExecCmd(cmd=[word.encode(errors="replace").decode() for word in words]))

    def _stdin(self, text: Any) -> pb.AttachExecRequest:
        if not self._interactive:
            raise BadFrame("stdin needs the query interactive=true")
        if self._input_ended:
            raise BadFrame("stdin has ended already")
        if text is None:
            self._input_ended = True
            return pb.AttachExecRequest(input=command_pb.ExecInput(end=True))
        if not isinstance(text, str):
            raise BadFrame("stdin must be text, or null at its end")
        return pb.AttachExecRequest(input=command_pb.ExecInput(data=text.encode(errors="replace")))

    def _size(self, size: Any) -> pb.AttachExecRequest:
        if not self._tty:
            raise BadFrame("tty_size needs the query tty=true")
        if not isinstance(size, dict):
            raise BadFrame("tty_size must be an object")
        return pb.AttachExecRequest(
            size=command_pb.TerminalSize(width=_side(size, "width"), height=_side(size, "height"))
        )


def pieces(request: pb.AttachExecRequest) -> Iterator[pb.AttachExecRequest]:
    """The same in messages that are small enough for everybody on the way to the program, however long a line is."""
    data = request.input.data
    if len(data) <= _PIECE:
        yield request
        return
    for start in range(0, len(data), _PIECE):
        yield pb.AttachExecRequest(input=command_pb.ExecInput(data=data[start : start + _PIECE]))


def _side(size: dict[str, Any], name: str) -> int:
    length = size.get(name)
    if isinstance(length, bool) or not isinstance(length, int) or not 0 < length <= _LARGEST_TERMINAL:
        raise BadFrame(f"tty_size must have a {name} from 1 to {_LARGEST_TERMINAL}")
    return length


def _document(frame: str | bytes) -> dict[str, Any]:
    if isinstance(frame, bytes):
        raise BadFrame("frames must be text")
    try:
        document = json.loads(frame)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise BadFrame("a frame must be one JSON object")
    return document


class ServerFrames:
    """Words the frames for one client. Programs may print any bytes: a character that is split between two pieces of
    one stream stays whole, bytes that are no UTF-8 become U+FFFD."""

    def __init__(self) -> None:
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {name: make("replace") for name in ("stdout", "stderr")}

    def output(self, output: command_pb.ExecOutput) -> Iterator[str]:
        """The frame of a piece of output; none while it ends in the middle of its only character."""
        yield from self._chunk(output.stream, output.data)

    def exit(self, code: int) -> Iterator[str]:
        """What is left of the output, then the exit code."""
        for stream in self._decoders:
            yield from self._chunk(stream, b"", final=True)
        yield json.dumps({"exit": code})

    def _chunk(self, stream: str, data: bytes, *, final: bool = False) -> Iterator[str]:
        text = self._decoders[stream].decode(data, final)
        if text:
            yield json.dumps({"stream": stream, "chunk": text})


def error(text: str) -> str:
    """The frame that ends a failed session."""
    return json.dumps({"error": text})
