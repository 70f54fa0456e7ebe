"""One module for each command or group of commands; each has its Typer group in `app`."""
