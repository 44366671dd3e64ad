"""What the state folder tells of the site that runs on it."""

from pathlib import Path

from rlwhf_site.home import site_address, write_private


def test_commands_learn_where_the_site_is_and_nothing_where_none_runs(tmp_path: Path) -> None:
    assert site_address(tmp_path) == ""
    (tmp_path / "run").mkdir()
    write_private(tmp_path / "run" / "supervisor.json", '{"pid": 1, "address": "http://127.0.0.1:8000"}')
    assert site_address(tmp_path) == "http://127.0.0.1:8000"
    write_private(tmp_path / "run" / "supervisor.json", "half a fi")
    assert site_address(tmp_path) == ""
