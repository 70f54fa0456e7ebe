"""Reads certificates with their keys, and pending challenges, from vault_svc for the assignments of nodes."""

from collections.abc import Iterable, Mapping

from kontena.vault.v1 import certificate_delivery_pb2 as pb
from kontena.vault.v1.certificate_delivery_pb2_grpc import CertificateDeliveryServiceStub
from services.clients.secrets import SecretValue
from services.kernel.client import ServiceChannel, ask


class CertificateResolver:
    """Resolves certificates of a grid by subject, and challenges by linked service, in one call each."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub = channel.stub(CertificateDeliveryServiceStub)

    async def bundles(self, grid_id: str, subjects: Iterable[str]) -> Mapping[str, SecretValue]:
        """Leaf, chain and key as one text by subject, readable or not; a missing one does not exist. Raises
        Unavailable."""
        wanted = sorted(set(subjects))
        if not wanted:
            return {}
        request = pb.ResolveCertificatesRequest(grid_id=grid_id, subjects=wanted)
        response = await ask("vault_svc", self._stub.ResolveCertificates, request)
        unreadable = {subject: SecretValue(None) for subject in response.unreadable}
        return {**unreadable, **{subject: SecretValue(bundle) for subject, bundle in response.bundles.items()}}

    async def existing(self, grid_id: str, subjects: Iterable[str]) -> frozenset[str]:
        """Those of the subjects that exist; no key leaves vault_svc. Raises Unavailable."""
        wanted = sorted(set(subjects))
        if not wanted:
            return frozenset()
        request = pb.ListCertificateSubjectsRequest(grid_id=grid_id, subjects=wanted)
        try:
            return frozenset((await ask("vault_svc", self._stub.ListCertificateSubjects, request)).subjects)
        except NotImplementedError:
            return frozenset(await self.bundles(grid_id, wanted))

    async def challenges(
        self, grid_id: str, services: Iterable[str]
    ) -> Mapping[str, tuple[tuple[str, SecretValue], ...]]:
        """Environment (name, value) by `stack/service`; only services with pending challenges. Raises Unavailable."""
        wanted = sorted(set(services))
        if not wanted:
            return {}
        request = pb.ResolveChallengesRequest(grid_id=grid_id, services=wanted)
        response = await ask("vault_svc", self._stub.ResolveChallenges, request)
        return {
            service: tuple((one.name, SecretValue(one.value)) for one in found.variables)
            for service, found in response.services.items()
        }
