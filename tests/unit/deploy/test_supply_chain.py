from deploy.supply_chain import verdict

CLEAN = {"name": "a", "version": "1.0", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "not found"}
BAD = {"name": "c", "version": "2.0", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"], "aliases": []}]}


def test_a_vulnerable_dependency_fails_and_says_what_to_install() -> None:
    assert verdict({"dependencies": [CLEAN, BAD]}) == (1, "Known vulnerabilities:\nc 2.0: CVE-1, fixed in 2.1")


def test_what_nobody_could_be_asked_about_is_not_called_clean() -> None:
    assert verdict({"dependencies": [SKIPPED]})[1].startswith("NOT CHECKED")
    assert verdict({"dependencies": [CLEAN, SKIPPED]}) == (
        0,
        "No known vulnerability in 1 locked dependencies; 1 could not be checked.",
    )
