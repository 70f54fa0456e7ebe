"""Files of stacks and what they become, to and from the wire."""

from google.protobuf.json_format import ParseDict, ParseError

from kontena.deploy.v1 import stack_conversion_pb2 as pb
from services.deploy_svc.convert.stacks import plain_object
from services.deploy_svc.domain.stack_source import Source
from services.deploy_svc.usecases.stack_conversions import Conversion, Request
from services.kernel.errors import ValidationFailed


def request_from_proto(given: pb.StackSource) -> Request:
    source = Source(
        files=dict(given.files),
        order=list(given.order),
        name=given.name,
        variables=plain_object(given.variables),
        profiles=list(given.profiles),
    )
    return Request(source, given.kind if given.HasField("kind") else None, given.ignore_unsupported)


def conversion_to_proto(conversion: Conversion) -> pb.ConvertedStack:
    """The whole answer. Raises ValidationFailed for a value that no document has."""
    made = conversion.made
    answer = {
        "kind": made.kind,
        "stack": made.document,
        "warnings": [{"path": warning.path, "message": warning.message} for warning in conversion.warnings],
        "volumes": list(made.volumes),
        "secrets": list(made.secrets),
        "configs": list(made.configs),
        "dependencies": list(made.dependencies),
    }
    try:
        return ParseDict(answer, pb.ConvertedStack())
    except ParseError as error:
        raise ValidationFailed({"files": f"Something has a value of another kind than it takes: {error}"}) from None
