"""What agents say that they can do, as names in the metadata of their calls."""

# Files of secrets and configs in containers.
FILES = "kontena-files"
