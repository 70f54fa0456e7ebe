"""`python -m kontena_ctl`."""

from kontena_ctl.main import main

main()
