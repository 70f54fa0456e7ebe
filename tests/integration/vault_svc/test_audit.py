"""What the requests that need an authority for certificates leave in the audit log."""

from tests.integration.vault_svc.acme_fixtures import Serve
from tests.integration.vault_svc.stand_ins import Neighbours
from tests.support.eventually import eventually


async def test_each_is_recorded_once(serve: Serve, vault_neighbours: Neighbours) -> None:
    async with serve() as acme:
        assert (await acme.register()).status == 201
        await acme.authorized("a.test")
        assert (await acme.to_secrets("A", "a.test")).status == 201
        made = await acme.d2("b.test", "dns-01")
        assert made.status == 201
        options = made.body["challenge_opts"]
        await acme.ca.set_txt(f"{options['record_name']}.b.test", options["record_content"])
        assert (await acme.create("b.test")).status == 201
        await acme.d2("c.test", "dns-01")
        removed = await acme.call("DomainAuthorizationService.DeleteDomainAuthorization", id="alpha/c.test")
        assert removed.status == 200

        async def recorded() -> bool:
            events = [
                (event.resource_type, event.event_name, event.resource_name)
                for event in vault_neighbours.audit.events.values()
                if event.resource_type != "GridSecret"
            ]
            # Two replicas tell, each what it takes in turn.
            return sorted(events) == [
                ("Certificate", "create", "a.test"),
                ("Certificate", "create", "b.test"),
                ("Certificate", "register", "john.doe@domain.com"),
                ("GridDomainAuthorization", "authorize", "a.test"),
                ("GridDomainAuthorization", "create", "b.test"),
                ("GridDomainAuthorization", "create", "c.test"),
                ("GridDomainAuthorization", "delete", "c.test"),
            ]

        await eventually(recorded, message="each request is in the audit log once")
