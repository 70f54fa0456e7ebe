"""`python -m gateway render OUT` writes the Envoy configuration for the settings in the environment,
`... openapi OUT` the OpenAPI document, `... client OUT` the Python package made from it; `... drain` prepares a running
Envoy for its end; `... run` is all of it, for containers: it renders, runs Envoy, and drains it on SIGTERM."""

import argparse
import json
import sys
from pathlib import Path

from pydantic import ValidationError

from gateway.catalog import load_descriptors, services
from gateway.drain import drain
from gateway.openapi import python_client
from gateway.openapi.document import document
from gateway.process import run
from gateway.render import write
from gateway.settings import GatewaySettings


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 2 when settings or protos are wrong or no Envoy runs, with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="gateway", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    render = commands.add_parser("render", help="write the Envoy configuration as JSON")
    render.add_argument("out", type=Path)
    openapi = commands.add_parser("openapi", help="write the OpenAPI document as JSON")
    openapi.add_argument("out", type=Path)
    client = commands.add_parser("client", help="write the Python package `kontena_rest`")
    client.add_argument("out", type=Path)
    _leaving(commands.add_parser("drain", help="send clients elsewhere; then Envoy can be stopped"))
    serve = commands.add_parser("run", help="render, run Envoy, and drain it on SIGTERM")
    serve.add_argument("--folder", type=Path, default=Path("/tmp/kontena-gateway"), help="for the configuration")  # noqa: S108
    _leaving(serve)
    options = parser.parse_args(arguments)
    try:
        settings = GatewaySettings()
        if options.command == "render":
            write(settings, options.out)
        elif options.command == "drain":
            left = drain(settings, notice=options.notice, limit=options.limit)
            sys.stderr.write(f"gateway: {left} connections left\n")
        elif options.command == "run":
            return run(settings, options.folder, notice=options.notice, limit=options.limit)
        elif options.command == "client":
            descriptors = load_descriptors(settings.descriptors)
            python_client.write(document(settings, descriptors), services(descriptors), options.out)
        else:
            found = document(settings, load_descriptors(settings.descriptors))
            options.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    except (ValidationError, ValueError, OSError) as error:
        sys.stderr.write(f"gateway: {error}\n")
        return 2
    return 0


def _leaving(command: argparse.ArgumentParser) -> None:
    command.add_argument("--notice", type=float, default=5, help="seconds for load balancers to see /readyz fail")
    command.add_argument(
        "--limit", type=float, default=25, help="seconds after which streams that still run do not count"
    )


if __name__ == "__main__":
    sys.exit(main())
