"""`python -m gateway render OUT` writes the Envoy configuration for the settings in the environment, and
`python -m gateway openapi OUT` the OpenAPI document."""

import argparse
import json
import sys
from pathlib import Path

from pydantic import ValidationError

from gateway.catalog import load_descriptors
from gateway.openapi.document import document
from gateway.render import write
from gateway.settings import GatewaySettings


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 2 when settings or protos are wrong, with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="gateway", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    render = commands.add_parser("render", help="write the Envoy configuration as JSON")
    render.add_argument("out", type=Path)
    openapi = commands.add_parser("openapi", help="write the OpenAPI document as JSON")
    openapi.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    try:
        settings = GatewaySettings()
        if options.command == "render":
            write(settings, options.out)
        else:
            found = document(settings, load_descriptors(settings.descriptors))
            options.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    except (ValidationError, ValueError, OSError) as error:
        sys.stderr.write(f"gateway: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
