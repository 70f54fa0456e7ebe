"""Commands inside running containers."""

from collections.abc import Sequence

from agent.domain.errors import EngineUnreachable
from agent.runtime.docker.engine import Engine
from agent.runtime.ports import Output

_STREAMS = {1: "stdout", 2: "stderr"}


class Execs:
    """Runs commands to their end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self, container_id: str, command: Sequence[str], output: Output) -> int:
        async with self._engine.call() as docker:
            made = await docker.containers.container(container_id).exec(list(command))
        # The command itself takes as long as it takes: whoever asked for it sets a deadline.
        async with self._engine.patient_call(None), made.start() as stream:
            while (message := await stream.read_out()) is not None:
                output(_STREAMS.get(message.stream, "stdout"), message.data)
        async with self._engine.call():
            shown = await made.inspect()
        code = shown["ExitCode"]
        if code is None:
            raise EngineUnreachable("the output of a command broke off")
        return int(code)
