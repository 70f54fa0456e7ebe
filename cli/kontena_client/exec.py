"""Commands in containers over the WebSocket of the REST API."""

import json
import ssl
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from kontena_client.errors import ApiError, KontenaError, Unreachable


class Exec:
    """One command in a container. Iterating gives its output as (`stdout` or `stderr`, text); then `exit_code` is set.

    Leaving the `with` block ends the command. Other threads may send input and sizes meanwhile.
    """

    def __init__(
        self,
        url: str,
        token: str,
        container: str,
        cmd: Sequence[str],
        *,
        interactive: bool = False,
        tty: bool = False,
        shell: bool = False,
        ca_file: str = "",
    ) -> None:
        """`container` is `grid/node/name`; `shell` joins the words for `/bin/sh -c`."""
        self.exit_code: int | None = None
        flags = {"interactive": interactive, "tty": tty, "shell": shell}
        query = urlencode({name: "true" for name, on in flags.items() if on})
        path = f"/v1/containers/{quote(container)}/exec"
        self._asked, self._url = f"GET {path}", url
        address = f"{url.replace('http', 'ws', 1).rstrip('/')}{path}?{query}"
        trust = ssl.create_default_context(cafile=ca_file or None) if address.startswith("wss://") else None
        self._cmd = list(cmd)
        self._connecting = connect(
            address,
            additional_headers={"Authorization": f"Bearer {token}"},
            ssl=trust,
            max_size=None,
            open_timeout=20,
        )

    def __enter__(self) -> Self:
        """Raises ApiError when the master refuses, Unreachable when it does not answer."""
        try:
            self._socket = self._connecting.__enter__()
        except InvalidStatus as error:
            raise self._refused(error) from error
        except (OSError, WebSocketException) as error:
            raise Unreachable(self._url, self._asked, str(error) or type(error).__name__) from error
        self._send({"cmd": self._cmd})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connecting.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Raises KontenaError when the session ends before the command has."""
        try:
            for frame in self._socket:
                message = json.loads(frame)
                if "error" in message:
                    raise KontenaError(f"{self._asked}: {message['error']}")
                if "exit" in message:
                    self.exit_code = int(message["exit"])
                    return
                yield str(message["stream"]), str(message["chunk"])
        except ConnectionClosed as error:
            raise Unreachable(self._url, self._asked, str(error)) from error
        raise Unreachable(self._url, self._asked, "the session ended before the command did")

    def write(self, text: str) -> None:
        """Input for the command."""
        self._send({"stdin": text})

    def end_input(self) -> None:
        """Say that no more input comes."""
        self._send({"stdin": None})

    def resize(self, width: int, height: int) -> None:
        """The size of the caller's terminal."""
        self._send({"tty_size": {"width": width, "height": height}})

    def _send(self, message: dict[str, object]) -> None:
        try:
            self._socket.send(json.dumps(message))
        except ConnectionClosed as error:
            raise Unreachable(self._url, self._asked, str(error)) from error

    def _refused(self, error: InvalidStatus) -> ApiError:
        answer = error.response
        text = answer.body.decode(errors="replace")
        try:
            found: object = json.loads(text).get("error", text)
        except (ValueError, AttributeError):
            found = text
        return ApiError(answer.status_code, self._asked, found, {k.lower(): v for k, v in answer.headers.raw_items()})
