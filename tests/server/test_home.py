"""The folder of a server."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from predictor.errors import ConfigError
from predictor.server.home import held


def test_a_folder_is_served_once_at_a_time_and_says_by_whom(tmp_path: Path):
    with held(tmp_path / "a") as home:
        home.say(f"process {os.getpid()}, http://127.0.0.1:1")
        with (
            pytest.raises(ConfigError, match=rf"served already \(process {os.getpid()}, http://127\.0\.0\.1:1\)"),
            held(tmp_path / "a"),
        ):
            pass
    with held(tmp_path / "a"):
        pass


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path):
    code = "import sys, os, signal; from pathlib import Path; from predictor.server.home import held\n"
    code += "with held(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")])
    assert done.returncode == -9
    with held(tmp_path / "a"):
        pass


def test_settings_and_secrets_last_and_secrets_are_closed_to_others(tmp_path: Path):
    with held(tmp_path / "a") as home:
        drawn = home.secret("x")
        home.remember(port=5)
    with held(tmp_path / "a") as home:
        assert (home.secret("x"), home.settings["port"]) == (drawn, 5)
        assert home.secret("y") != drawn
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "a").iterdir()}
    assert modes == {"lock": 0o600, "secrets.json": 0o600, "server.json": 0o600}
    assert drawn not in (tmp_path / "a" / "server.json").read_text()


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str):
    (tmp_path / "secrets.json").write_text(text)
    with pytest.raises(ConfigError, match="the file is damaged") as caught, held(tmp_path):
        pass
    assert caught.value.where == str(tmp_path / "secrets.json")


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "a").write_text("")
    with pytest.raises(ConfigError, match="the folder cannot be used"), held(tmp_path / "a"):
        pass
