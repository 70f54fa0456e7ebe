from datetime import UTC, datetime

from google.protobuf.json_format import MessageToDict

from kontena.vault.v1 import secret_pb2 as pb
from services.vault_svc.convert import secrets as convert
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.domain.secret import Secret, ServiceRef
from services.vault_svc.usecases.secrets import ListedSecret, SecretView

SECRET = Secret(
    "1" * 24,
    "a" * 24,
    "PWD",
    datetime(2016, 12, 1, 10, 0, 0, 123_999, tzinfo=UTC),
    datetime(2016, 12, 1, 10, tzinfo=UTC),
)


def test_a_list_entry_has_no_value_and_milliseconds() -> None:
    listed = pb.Secret.FromString(convert.listed(ListedSecret(convert.part(("g", SECRET)), ())))
    assert MessageToDict(listed, preserving_proto_field_name=True) == {
        "id": "g/PWD",
        "name": "PWD",
        "created_at": "2016-12-01T10:00:00.123Z",
        "updated_at": "2016-12-01T10:00:00.001Z",
    }


def test_a_secret_says_when_its_users_are_not_known() -> None:
    assert convert.secret_to_proto(SecretView("g", SECRET, Plaintext("v"))).services_unknown
    assert pb.Secret.FromString(convert.listed(ListedSecret(b"", None))).services_unknown


def test_a_single_secret_has_value_and_services() -> None:
    message = convert.secret_to_proto(SecretView("g", SECRET, Plaintext("v\n"), (ServiceRef("g/null/web", "web"),)))
    assert message.value == "v\n"
    assert [(service.id, service.name) for service in message.services] == [("g/null/web", "web")]
