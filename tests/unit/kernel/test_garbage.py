"""What a process begins with is never looked at again; what it does afterwards is, and metrics tell for how long."""

import json
import subprocess
import sys

# In a process of its own: what is settled stays so.
_WORK = """
import gc, json, weakref
from prometheus_client import generate_latest
from services.kernel import garbage

class Node:
    pass

began_with = Node()
garbage.settle()
looked_at = {id(one) for one in gc.get_objects()}
ring = Node()
ring.itself, gone = ring, weakref.ref(ring)
del ring
gc.collect()
print(json.dumps({
    "looked at": id(began_with) in looked_at,
    "freed": gone() is None,
    "metrics": generate_latest().decode(),
}))
"""


def test_what_was_there_is_left_alone_and_what_came_is_freed() -> None:
    done = subprocess.run([sys.executable, "-c", _WORK], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found["looked at"], found["freed"]) == (False, True)
    full = dict(
        line.removeprefix("python_gc_pause_seconds_").split()
        for line in found["metrics"].splitlines()
        if line.startswith("python_gc_pause_seconds_") and 'generation="2"' in line
    )
    assert float(full['count{generation="2"}']) >= 1
    assert float(full['sum{generation="2"}']) > 0
