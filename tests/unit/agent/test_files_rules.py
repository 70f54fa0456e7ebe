"""Where files of containers are on the node."""

from agent.domain.files import file_name, file_system, inside, node_folder

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /run rw,nosuid - tmpfs tmpfs rw
31 30 0:26 / /run/with\\040blank rw - ramfs none rw
32 22 0:27 / /srv rw - tmpfs tmpfs rw
33 22 254:1 / /srv rw shared:1 - xfs /dev/vdb rw
"""


def test_the_file_system_of_a_path_is_the_nearest_mount_and_the_last_one_of_several() -> None:
    paths = ["/etc", "/run", "/run/kontena/files", "/running", "/run/with blank/x", "/srv/a"]
    assert [file_system(MOUNTS, path) for path in paths] == ["ext4", "tmpfs", "tmpfs", "ext4", "ramfs", "xfs"]
    assert file_system("", "/run") == ""


def test_paths_into_a_folder_are_found_however_they_are_written() -> None:
    root = "/run/kontena/files"
    for path in ("/run/kontena/files", "/run/kontena/files/a", "/run//kontena/./files/", "/run/x/../kontena/files"):
        assert inside(["/data", path], root) == path
    assert inside(["/run/kontena", "/run/kontena/files-of-others", "/"], root) == ""


def test_names_on_the_node_say_nothing_and_differ() -> None:
    assert node_folder("n1") != node_folder("n2")
    assert file_name("/run/secrets/a") != file_name("/run/secrets/b")
    assert "/" not in file_name("/a/b") + node_folder("a/b")
