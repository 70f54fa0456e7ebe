"""The steps of each operation on an instance (docs/spec/orchestration.md section 8.4)."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from agent.data_volumes import DataVolumes
from agent.domain import data, labels
from agent.domain.data import DataMount
from agent.domain.errors import (
    AgentError,
    ConfigInvalid,
    EngineRefused,
    EngineUnreachable,
    ImageUnavailable,
    MasterNeeded,
    NameTaken,
    Overtaken,
    SecretsNeeded,
    StartRefused,
)
from agent.domain.hooks import PRE_START
from agent.domain.labels import InstanceKey, key_of
from agent.domain.swap import Settlement, former_name, next_name, own_name, settle
from agent.handover import Handover
from agent.hooks import Hooks
from agent.runtime import config
from agent.runtime.ports import Container, Image, Login
from agent.site import Severity, Site
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

T = TypeVar("T")

_DEFAULT_GRACE = 10
_CREATE = "service:create_instance"
_START = "service:start_instance"
_STOP = "service:stop_instance"
_RESTART = "service:restart_instance"
_REMOVE = "service:remove_instance"


class Operations:
    """Acts on the containers of one instance. Each method may be repeated after a failure.

    `sealed`: the assignment was read from the state file, so its secrets have no values. `overtaken` is set while
    something else is wanted than what is being done: a pull, which may take long, ends with Overtaken then. Without a
    `handover`, the container of before always stops first.
    """

    def __init__(
        self,
        key: InstanceKey,
        site: Site,
        overtaken: asyncio.Event | None = None,
        handover: Handover | None = None,
    ) -> None:
        self._key = key
        self._handover = handover
        self._overtaken = overtaken or asyncio.Event()
        self._site = site
        self._runtime = site.runtime
        self._hooks = Hooks(key, site)
        self._data = DataVolumes(key, site)
        # The image and the rollout that it was last said to be got for.
        self._getting = ("", "")

    async def find(self) -> Container | None:
        """The instance's container. A swap that was cut short is settled, and containers beyond it are removed; so it
        must not be called in the middle of a swap."""
        return (await self._settled()).current

    async def _settled(self) -> Settlement:
        settled = settle(
            await self._runtime.containers.find(self._key, labels.TYPE_CONTAINER, self._site.state.node_ids)
        )
        for surplus in settled.discard:
            log.warning("removing a second container of one instance", name=surplus.name)
            await self._take_down(surplus, volumes=False)
        if settled.restore and settled.current is not None:
            name = own_name(settled.current)
            await self._runtime.containers.rename(settled.current.id, name)
            return Settlement(replace(settled.current, name=name))
        return settled

    def note_data(self, assignment: pb.Assignment, container: Container | None) -> None:
        """Remember the volumes with the data of the instance."""
        self._data.note(assignment, container)

    async def image(self, assignment: pb.Assignment, *, sealed: bool) -> Image:
        """Pull the image of this rollout, once."""
        pod = assignment.pod
        if (wanted := (pod.image, assignment.deploy_rev)) != self._getting:
            self._getting = wanted
            self._tell(_CREATE, f"getting image {pod.image}")
        login = None
        if pod.HasField("image_credentials") and not sealed:
            given = pod.image_credentials
            login = Login(given.username, given.password, given.email)
        try:
            pull = self._runtime.images.ensure(pod.image, assignment.deploy_rev, login)
            image = await self._unless_overtaken(pull)
        except ImageUnavailable as error:
            if sealed and pod.HasField("image_credentials"):
                raise SecretsNeeded("the login of the registry is known to the master only") from error
            raise
        if image.pulled:
            self._site.pulled(image.id)
        if image.problem:
            text = f"image {pod.image} was not pulled, the copy on this node is used: {image.problem}"
            self._tell(_CREATE, text[:500], "warn")
        return image

    async def _unless_overtaken(self, patient: Coroutine[Any, Any, T]) -> T:
        waiting, overtaken = asyncio.create_task(patient), asyncio.create_task(self._overtaken.wait())
        try:
            await asyncio.wait((waiting, overtaken), return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise Overtaken("something else is wanted, so what took its time was given up")
            return waiting.result()
        finally:
            waiting.cancel()
            overtaken.cancel()
            await asyncio.gather(waiting, overtaken, return_exceptions=True)

    async def create(self, assignment: pb.Assignment, old: Container | None, *, sealed: bool) -> None:
        """Replace `old` by a new container and start it. Whatever can be known to be wrong before, is found before the
        old one is touched: what the engine refuses to create too, as the successor is made under another name. Raises
        StartRefused when the successor did not come to run and `old` runs again."""
        pod = assignment.pod
        if not pod.image or not pod.container_name:
            raise ConfigInvalid("the assignment names no image or no container")
        self._require_secrets(assignment, sealed=sealed)
        image = await self.image(assignment, sealed=sealed)
        await self._ensure_volumes(assignment)
        await self._ensure_network(assignment)
        await self._unless_overtaken(self._make_room(assignment))
        self._data.note(assignment, old)
        mounts = await self._data.prepare(assignment, tuple(image.volumes))
        self._site.files.refuse_mount(pod)
        token = self._site.files.new_token(assignment)
        body = await self._body(assignment, mounts, token)
        name = pod.container_name if old is None else next_name(pod.container_name)
        in_one_go = old is None and not any(hook.type == PRE_START for hook in pod.hooks)
        async with self._site.starts:
            async with self._site.files.placed(self._site.identity().node_id, token, assignment.files):
                successor = await self._runtime.containers.create(name, body)
            log.info("container created", name=name, image=pod.image, rev=assignment.deploy_rev)
            self._data.remember(assignment, mounts)
            if in_one_go:
                await self._launch(successor)
        beside = pod.start_first and old is not None and old.running and self._handover is not None
        if beside and old is not None and self._handover is not None:
            await self._take_over(assignment, successor, old, body, self._handover)
        elif not in_one_go:
            await self._swap_in(assignment, successor, old, body)
        self._tell(_CREATE, f"container {pod.container_name} was created and started")
        await self._data.retire_keepers()
        if not beside:
            await self._post_start(assignment, successor)

    async def _take_over(
        self, assignment: pb.Assignment, successor: str, old: Container, body: dict[str, Any], handover: Handover
    ) -> None:
        """Start the successor beside `old`, which is not touched before that is ready. Until then it has the name that
        settling removes. Raises StartRefused when it does not become ready."""
        name = assignment.pod.container_name
        try:
            hooks = await self._hooks.before_start(assignment)
            await self._hooks.run_before_start(assignment, hooks, body)
            await self.launch(successor)
            container = await self._unless_overtaken(handover.ready(assignment.pod, successor))
            await self._hooks.post_start(assignment, container)
        except EngineUnreachable:
            # Nobody knows how far it came; the next look does.
            raise
        except AgentError as error:
            if (failed := await self._runtime.containers.inspect(successor)) is not None:
                await self._take_down(failed, volumes=True)
            if isinstance(error, MasterNeeded | Overtaken):
                raise
            raise StartRefused(f"{error}; the container of before runs on") from error
        await self._runtime.containers.rename(old.id, former_name(name))
        await self._runtime.containers.rename(successor, name)
        await handover.switch(assignment, replace(container, name=name))
        await self._halt(old, assignment)
        await self._retire(assignment, old)

    async def _swap_in(
        self, assignment: pb.Assignment, successor: str, old: Container | None, body: dict[str, Any]
    ) -> None:
        """Let the successor take the place of `old`, which comes back when that fails."""
        name = assignment.pod.container_name
        former = None
        try:
            hooks = await self._hooks.before_start(assignment)
            if old is not None and old.start_error:
                # It never worked, so there is nothing to come back to.
                await self._take_down(old, volumes=not assignment.pod.stateful)
            elif old is not None:
                former = old
                await self._halt(old, assignment)
            await self._hooks.run_before_start(assignment, hooks, body)
            if former is not None:
                await self._runtime.containers.rename(former.id, former_name(name))
            if old is not None:
                await self._runtime.containers.rename(successor, name)
            await self.launch(successor)
        except EngineUnreachable:
            # Nobody knows how far it came; the next look does.
            raise
        except AgentError as error:
            await self._give_up(assignment, successor, former, error)
            raise
        await self._retire(assignment, former)

    async def _give_up(
        self, assignment: pb.Assignment, successor: str, former: Container | None, error: AgentError
    ) -> None:
        """The successor cannot run: `former` gets its place back and runs again, and StartRefused says so."""
        log.warning("the successor does not start", instance=assignment.instance_id, cause=str(error)[:300])
        if former is None and isinstance(error, EngineRefused):
            # There is nothing else to show; the container tells why it does not start.
            return
        failed = await self._runtime.containers.inspect(successor) if self._site.files.has(self._key) else None
        await self._runtime.containers.remove(successor, volumes=True)
        if failed is not None:
            await self._site.files.remove(failed.labels)
        if former is None:
            return
        shown = await self._runtime.containers.inspect(former.id)
        if shown is not None and shown.name != own_name(former):
            await self._runtime.containers.rename(former.id, own_name(former))
        await self.launch(former.id)
        self._tell(_CREATE, f"container {own_name(former)} of before runs again, as its successor failed", "warn")
        await self._post_start(assignment, former.id)
        if not isinstance(error, MasterNeeded):
            raise StartRefused(f"{error}; the container of before runs again") from error

    async def _retire(self, assignment: pb.Assignment, former: Container | None) -> None:
        if former is not None:
            await self._take_down(former, volumes=not assignment.pod.stateful)
            self._tell(_CREATE, f"removed the old container {own_name(former)}")

    async def start(self, assignment: pb.Assignment, container: Container, *, sealed: bool) -> None:
        """Start a container that was stopped or has ended, or one that a dead agent had made. Raises StartRefused when
        there is another one of before, which runs again."""
        await self._ensure_network(assignment)
        former = (await self._settled()).former
        try:
            hooks = await self._hooks.before_start(assignment)
            if hooks:
                self._require_secrets(assignment, sealed=sealed)
                mounts = [DataMount(path, name) for path, name in data.labelled(container).items()]
                await self._site.files.ready(container)
                body = await self._body(assignment, mounts, container.labels.get(labels.FILES, ""))
                await self._hooks.run_before_start(assignment, hooks, body)
            await self.launch(container.id)
        except EngineUnreachable:
            raise
        except AgentError as error:
            if former is not None:
                await self._give_up(assignment, container.id, former, error)
            raise
        await self._retire(assignment, former)
        self._tell(_START, f"container {container.name} was started")
        await self._post_start(assignment, container.id)

    async def launch(self, container_id: str) -> None:
        """Start a container without any hook and collect its log. Raises SecretsNeeded when its files are gone and only
        the master knows what is in them."""
        async with self._site.starts:
            if self._site.files.has(self._key):
                await self._bring_files(container_id)
            await self._launch(container_id)

    async def _bring_files(self, container_id: str) -> None:
        container = await self._runtime.containers.inspect(container_id)
        if container is not None:
            await self._site.files.ready(container)

    async def _launch(self, container_id: str) -> None:
        try:
            await self._runtime.containers.start(container_id)
        finally:
            self._site.logs.follow(container_id)
        self._site.tell_start()

    async def stop(self, assignment: pb.Assignment, container: Container) -> None:
        """Stop it with grace."""
        await self._hooks.pre_stop(assignment, container)
        await self._runtime.containers.stop(container.id, assignment.pod.stop_grace_period)
        self._tell(_STOP, f"container {container.name} was stopped")

    async def restart(self, container: Container, grace: int) -> None:
        """Restart it in place; hooks do not run."""
        await self._site.files.ready(container)
        await self._runtime.containers.restart(container.id, grace)
        self._site.logs.follow(container.id)
        self._tell(_RESTART, f"container {container.name} was restarted")

    async def terminate(self, assignment: pb.Assignment | None) -> None:
        """Remove everything the instance has on this node, its data included. `assignment` is the last one it had
        here."""
        await self._data.remove(await self.withdraw(assignment))

    async def withdraw(self, assignment: pb.Assignment | None) -> list[Container]:
        """Remove its containers, and tell which there were; the data of a stateful instance stays."""
        found = await self._runtime.containers.find(self._key, labels.TYPE_CONTAINER, self._site.state.node_ids)
        for container in found:
            await self._take_down(container, volumes=True, assignment=assignment)
            self._tell(_REMOVE, f"container {container.name} was removed")
        await self._hooks.remove_leftovers()
        return found

    def _tell(self, kind: str, message: str, severity: Severity = "info") -> None:
        self._site.events.put(self._key, severity, kind, message)

    @staticmethod
    def _require_secrets(assignment: pb.Assignment, *, sealed: bool) -> None:
        if sealed and (assignment.secrets or assignment.files):
            raise SecretsNeeded("the values of secrets are known to the master only")

    async def _body(self, assignment: pb.Assignment, mounts: list[DataMount], token: str) -> dict[str, Any]:
        """`token` names the folder with the files of the container."""
        node = self._site.identity()
        folder = config.FilesFolder(str(self._site.files.folder(node.node_id, token)), token) if token else None
        volumes_from = [await self._resolve(entry, assignment) for entry in assignment.pod.volumes_from]
        lender = config.lender_of(assignment.pod)
        if lender:
            lender = await self._resolve(lender, assignment)
        return config.container_config(
            assignment,
            node,
            volumes_from=volumes_from,
            lender=lender,
            data=mounts,
            network=await self._site.grid_network(),
            files=folder,
        )

    async def _post_start(self, assignment: pb.Assignment, container_id: str) -> None:
        container = await self._runtime.containers.inspect(container_id)
        if container is not None:
            await self._hooks.post_start(assignment, container)

    async def _take_down(self, container: Container, *, volumes: bool, assignment: pb.Assignment | None = None) -> None:
        await self._halt(container, assignment)
        # An engine may count the data of an instance whose volumes it mounts among its own.
        others = set().union(*self._site.state.with_data().values())
        await self._runtime.containers.remove(
            container.id, volumes=volumes and others.isdisjoint(container.volumes.values())
        )
        await self._site.files.remove(container.labels)
        log.info("container removed", name=container.name)

    async def _halt(self, container: Container, assignment: pb.Assignment | None) -> None:
        """Stop it with grace, and read its log to the end."""
        if container.running and assignment is not None:
            await self._hooks.pre_stop(assignment, container)
        if container.running or container.restarting:
            await self._runtime.containers.stop(container.id, grace_of(container))
        await self._site.logs.drained(container.id)

    async def _make_room(self, assignment: pb.Assignment) -> None:
        """Returns once no container has the names that are needed, and none on its way out has the node ports. Raises
        NameTaken when one is not ours to remove."""
        ports = frozenset(port.node_port for port in assignment.pod.ports if port.node_port)
        await self._site.removals.of_ports(ports)
        name = assignment.pod.container_name
        for needed in (name, next_name(name), former_name(name)):
            await self._free(needed)

    async def _free(self, name: str) -> None:
        holder = await self._runtime.containers.inspect(name)
        if holder is None or holder.name != name:
            return
        if not labels.is_ours(holder.labels, self._site.state.node_ids):
            raise NameTaken(f"the name {name} is taken by a container that is not this agent's; remove it")
        owner = key_of(holder.labels)
        if owner is None:
            await self._take_down(holder, volumes=False)
        elif owner != self._key:
            await self._site.removals.of_instance(owner, name)

    async def _ensure_network(self, assignment: pb.Assignment) -> None:
        if config.on_grid_network(assignment.pod):
            network = await self._site.grid_network()
            if not network.resolver:
                await self._runtime.networks.ensure(network.name, {labels.GRID_NAME: self._site.identity().grid})

    async def _ensure_volumes(self, assignment: pb.Assignment) -> None:
        for volume in config.named_volumes(assignment, self._site.identity()):
            await self._runtime.volumes.ensure(volume)

    async def _resolve(self, entry: str, assignment: pb.Assignment) -> str:
        name, colon, mode = entry.partition(":")
        candidates = config.container_candidates(name, assignment)
        for candidate in candidates:
            if await self._runtime.containers.inspect(candidate) is not None:
                return f"{candidate}{colon}{mode}"
        return f"{candidates[0]}{colon}{mode}"


def grace_of(container: Container) -> int:
    """Seconds a container gets between the stop signal and the kill."""
    if labels.STOP_GRACE_PERIOD not in container.labels:
        return _DEFAULT_GRACE
    return labels.number_label(container.labels, labels.STOP_GRACE_PERIOD)
