"""`kctl stack`."""

from kontena_ctl.command import group
from kontena_ctl.resources import STACK
from kontena_ctl.verbs import add

GROUP = True
app = group("Stacks")
add(app, STACK)
