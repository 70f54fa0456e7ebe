"""`python -m tests.support.images`: fetch what builds of the images take from the network, so that whoever calls it
may try again when that fails. What is there is not fetched again."""

import sys

from tests.support.images import inputs

inputs.base()
sys.exit(inputs.wheels())
