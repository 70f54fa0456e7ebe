"""Commands and answers: message <-> domain. Both directions, as replicas pass them on to each other."""

from kontena.deploy.v1 import node_command_pb2 as pb
from services.deploy_svc.domain import node_command as domain
from services.deploy_svc.domain.node_command import Answer, Event, FollowUp, Order, Request
from services.kernel.errors import InvalidRequest

# Initial metadata of RelayCommand.
ACCEPTED = "x-accepted"


def order_to_proto(command_id: str, order: Order) -> pb.NodeCommand:
    """What is sent to a node."""
    match order:
        case domain.Exec():
            exec_ = pb.ExecCommand(container_id=order.container_id, cmd=order.cmd, stdin=order.stdin, tty=order.tty)
            return pb.NodeCommand(id=command_id, exec=exec_)
        case domain.Inspect():
            return pb.NodeCommand(id=command_id, inspect=pb.InspectCommand(container_id=order.container_id))
        case domain.Top():
            return pb.NodeCommand(id=command_id, top=pb.TopCommand(container_id=order.container_id))
        case domain.RemoveVolume():
            return pb.NodeCommand(id=command_id, remove_volume=pb.RemoveVolumeCommand(name=order.name))
        case domain.Input():
            return pb.NodeCommand(id=command_id, input=pb.ExecInput(data=order.data, end=order.end))
        case domain.Size():
            return pb.NodeCommand(id=command_id, size=pb.TerminalSize(width=order.width, height=order.height))
        case domain.Read():
            return pb.NodeCommand(id=command_id, read=pb.ReadOutput(size=order.size))
        case domain.Cancel():
            return pb.NodeCommand(id=command_id, cancel=pb.CancelCommand())


def request_from_proto(command: pb.NodeCommand) -> Request:
    """A command that begins. Raises InvalidRequest for anything else."""
    match command.WhichOneof("message"):
        case "exec":
            asked = command.exec
            return domain.Exec(asked.container_id, tuple(asked.cmd), asked.stdin, asked.tty)
        case "inspect":
            return domain.Inspect(command.inspect.container_id)
        case "top":
            return domain.Top(command.top.container_id)
        case "remove_volume":
            return domain.RemoveVolume(command.remove_volume.name)
    raise InvalidRequest("the first message begins no command")


def follow_up_from_proto(command: pb.NodeCommand) -> FollowUp | None:
    """What belongs to a command that began; None for what does not pass between replicas."""
    match command.WhichOneof("message"):
        case "input":
            return domain.Input(command.input.data, command.input.end)
        case "size":
            return domain.Size(command.size.width, command.size.height)
    return None


def event_from_proto(event: pb.NodeCommandEvent) -> Event | None:
    """What a node said; None for what this version does not know."""
    if event.WhichOneof("message") == "read":
        return domain.InputRead(event.read.size)
    return answer_from_proto(event)


def answer_from_proto(event: pb.NodeCommandEvent) -> Answer | None:
    """What a node answered; None for what is none."""
    match event.WhichOneof("message"):
        case "output":
            return domain.Output("stderr" if event.output.stream == "stderr" else "stdout", event.output.data)
        case "exit":
            return domain.Exit(event.exit.code)
        case "result":
            return domain.Result(event.result.json)
        case "error":
            return domain.Failed(event.error.kind, event.error.message[:1000])
    return None


def answer_to_proto(answer: Answer) -> pb.NodeCommandEvent:
    """What another replica is told."""
    match answer:
        case domain.Output():
            return pb.NodeCommandEvent(output=output_to_proto(answer))
        case domain.Exit():
            return pb.NodeCommandEvent(exit=pb.ExecExit(code=answer.code))
        case domain.Result():
            return pb.NodeCommandEvent(result=pb.CommandResult(json=answer.json))
        case domain.Failed():
            return pb.NodeCommandEvent(error=pb.CommandError(kind=answer.kind, message=answer.message))


def output_to_proto(output: domain.Output) -> pb.ExecOutput:
    """Output of a program."""
    return pb.ExecOutput(stream=output.stream, data=output.data)
