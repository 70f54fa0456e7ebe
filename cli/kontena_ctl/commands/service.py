"""`kctl service`."""

from kontena_ctl.command import group
from kontena_ctl.resources import SERVICE
from kontena_ctl.verbs import add

GROUP = True
app = group("Services")
add(app, SERVICE)
