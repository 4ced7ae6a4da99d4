import json
import subprocess
import sys
import types

import pytest

from worldfoundry import __version__
from worldfoundry.cli import doctor, main
from worldfoundry.core.errors import ConfigError, GuardrailRefusal


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command line with one command, ``work``, that does what it is told; gives code, stdout, stderr."""

    def run_(args, work=lambda args: 0):
        module = types.ModuleType("fake_command")
        module.run = work
        monkeypatch.setitem(sys.modules, "fake_command", module)
        monkeypatch.setitem(main.COMMANDS, "work", main.Command("fake_command", "fakes", "worldfoundry work"))
        return main.main(args), *capsys.readouterr()

    return run_


def test_the_command_tree_is_the_recorded_one(repository):
    recorded = repository / "tests" / "architecture" / "help.txt"
    assert main.help_text() == recorded.read_text(encoding="utf-8")
    assert main.help_text() in (repository / "docs" / "cli.md").read_text(encoding="utf-8")


def test_each_line_of_help_fits_a_terminal():
    assert max(map(len, main.help_text().splitlines())) <= 88


def test_help_and_version_go_to_stdout(run):
    for args in ([], ["--help"], ["-h"], ["help"]):
        assert run(args) == (0, main.help_text(), "")
    assert run(["--version"]) == (0, f"worldfoundry {__version__}\n", "")


def test_a_command_gets_its_arguments_and_gives_its_code(run):
    assert run(["work", "--seed", "1"], lambda args: len(args)) == (2, "", "")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["trian"], "error: unknown command 'trian'; did you mean 'train'?\n"),
        (["--versoin"], "error: unknown option '--versoin'; did you mean '--version'?\n"),
    ],
)
def test_an_unknown_name_is_a_usage_error_with_the_nearest_one(run, args, message):
    assert run(args) == (2, "", message)


def _raises(error):
    def work(args):
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            ConfigError("steps must be positive,\n  got 0; use 1"),
            1,
            "error: steps must be positive, got 0; use 1\n",
        ),
        (GuardrailRefusal("the prompt is refused"), 3, "refused: the prompt is refused\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted\n"),
        (SystemExit(2), 2, ""),
        (SystemExit(), 0, ""),
        (SystemExit("no such file"), 1, "no such file\n"),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_a_code(run, error, code, message):
    assert run(["work"], _raises(error)) == (code, "", message)


def test_a_bug_shows_its_traceback(run):
    with pytest.raises(ZeroDivisionError):
        run(["work"], _raises(ZeroDivisionError()))


def test_a_reader_that_leaves_is_no_error():
    code = (
        "import sys, types; from worldfoundry.cli import main\n"
        "def run(args):\n    for _ in range(10_000): sys.stdout.write('x' * 1000)\n    return 0\n"
        "sys.modules['fake'] = types.ModuleType('fake'); sys.modules['fake'].run = run\n"
        "main.COMMANDS['work'] = main.Command('fake', '', ''); sys.exit(main.main(['work']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_python_m_worldfoundry_is_the_same_command():
    command = [sys.executable, "-m", "worldfoundry", "no-such-command"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")


def test_the_doctor_finds_the_base_installation_whole_and_names_a_fix_for_what_is_not(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    quick = (doctor.check_python, doctor.check_packages, doctor.check_codecs, doctor.check_disk)
    monkeypatch.setattr(doctor, "_CHECKS", quick)
    code = doctor.run(["--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    for name in ("worldfoundry", "python", "packages", "decode", "encode", "write"):
        assert rows[name]["state"] == "ok", rows[name]
    assert code == int(any(row["state"] == "broken" for row in rows.values()))
    assert all(row["fix"] for row in rows.values() if row["state"] == "broken")


def test_the_doctor_exits_1_and_says_how_to_mend_what_is_broken(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_BASE", ("torch-that-is-absent",))
    monkeypatch.setattr(doctor, "_EXTRAS", {"gone": {"gone": "gone"}})
    monkeypatch.setattr(doctor, "_CHECKS", (doctor.check_packages,))
    assert doctor.run([]) == 1
    out = capsys.readouterr().out
    assert "broken  packages" in out
    assert "note    extra gone" in out
    assert "fix: pip install 'worldfoundry[gone]'" in out
