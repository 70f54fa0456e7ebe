"""Every command, by section: where it is, and one line about it. Nothing of it is loaded before it is used."""

from typing import NamedTuple


class Entry(NamedTuple):
    """`module` is in `kontena_ctl.commands`."""

    module: str
    about: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "Masters": {
        "ctx": Entry("ctx", "The masters that are known, and which one is used"),
        "login": Entry("login", "Log in to a master, with a code, a token or the browser"),
        "status": Entry("status", "The master, its grid and its nodes at a glance"),
    },
    "Deploys": {
        "deploy": Entry("deploy", "Show what a stack file changes, deploy it, and follow to the end"),
        "plan": Entry("deploy", "Show what a stack file would change"),
        "scale": Entry("deploy", "Set the number of instances"),
        "wait": Entry("deploy", "Wait until a service or stack is as it shall be, or until a deploy has ended"),
        "history": Entry("history", "Deploys of a service or stack, and what became of them"),
        "revisions": Entry("history", "Revisions of a service or stack, and what they changed"),
        "rollback": Entry("rollback", "Go back to a revision of before, and follow the deploy"),
        "rebalance": Entry("rebalance", "Move instances to where there is more room, and follow the deploys"),
        "cancel": Entry("history", "End a deploy that goes on"),
        "restart": Entry("life", "Restart the instances of services"),
        "stop": Entry("life", "Stop services"),
        "start": Entry("life", "Start services"),
    },
    "What runs": {
        "ps": Entry("ps", "Services and how many of their instances run"),
        "logs": Entry("logs", "What containers wrote"),
        "events": Entry("logs", "What happened in the grid"),
        "exec": Entry("exec", "Run a command in a container"),
        "run": Entry("run", "Run a command in a container of its own, which is gone afterwards"),
        "explain": Entry("explain", "Why a service is not as it shall be"),
        "top": Entry("top", "Use of processors and memory by containers"),
    },
    "Resources": {
        "grid": Entry("grid", "Grids"),
        "node": Entry("node", "Nodes: machines that run containers"),
        "stack": Entry("stack", "Stacks"),
        "service": Entry("service", "Services"),
        "secret": Entry("secret", "Secrets of the vault"),
        "config": Entry("config", "Configs: texts that services have as files"),
        "cert": Entry("cert", "Certificates, and domains they are for"),
        "volume": Entry("volume", "Volumes"),
        "registry": Entry("registry", "Credentials for image registries"),
        "user": Entry("user", "Accounts, their roles, and members of the grid"),
        "token": Entry("token", "Access tokens"),
        "audit": Entry("audit", "Who changed what"),
    },
    "Else": {
        "api": Entry("api", "Send any request to the API"),
        "completion": Entry("completion", "Completion for bash, zsh or fish"),
        "version": Entry("version", "Versions of this program and of the master"),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
