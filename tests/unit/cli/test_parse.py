"""Every wrong command line ends the same way: one line that names the option, exit code 2."""

import pytest

from worldfoundry.cli.main import main


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "generate --image a.png --out b.mp4 --num-frames 0",
            "error: --num-frames must be at least 1, got 0; raise it",
        ),
        ("evaluate rollout --num-clips 0", "error: --num-clips must be at least 1, got 0; use 50"),
        ("evaluate rollout --batch-size=0", "error: --batch-size must be at least 1, got 0; use 10"),
        ("simulate dominos --out out", "error: unknown scene 'dominos'; did you mean 'dominoes'?"),
        ("train dit-v2w-nan", "error: unknown recipe 'dit-v2w-nan'; did you mean 'dit-v2w-nano'"),
        ("train dit-v2w-nano --steps 0", "error: --steps must be above 0, got 0"),
        (
            "train dit-v2w-nano --optim.learning-rate -1",
            "error: --optim.learning-rate must be above 0, got -1.0",
        ),
        ("data prepare in --out out --size 0", "error: --size must be at least 8, got 0; use 64\n"),
        ("data prepare in --out out --crops 2", "error: --crops must be 1 or 3, got 2"),
        ("data inspect", "error: data inspect needs a path, got none"),
        ("tokenize encode a.mp4 --out a.gif", "error: --out must end in .safetensors, got 'a.gif'"),
    ],
)
def test_a_value_that_breaks_a_rule_is_one_line_that_names_the_option(
    capsys, monkeypatch, tmp_path, line, says
):
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert "tyro" not in said.err
    assert said.out == ""


@pytest.mark.parametrize("line", ["tokenize encode", "models shwo", "train dit-v2w-nano --no-such-option 1"])
def test_what_tyro_cannot_parse_keeps_its_explanation(capsys, line):
    assert main(line.split()) == 2
    assert "--help" in capsys.readouterr().err


def test_a_command_line_that_is_right_may_still_fail_with_1(capsys, tmp_path):
    assert main(["parity", str(tmp_path / "cases")]) == 1
    assert (
        "must be a folder of golden cases, the stored inputs and outputs of a reference, got no such folder"
        in (capsys.readouterr().err)
    )
    assert main(["models", "show", "no-such-model"]) == 2
    assert (
        main(
            [
                "train",
                "dit-v2w-nano-debug",
                "--data",
                str(tmp_path / "none"),
                "--runs",
                str(tmp_path / "runs"),
            ]
        )
        == 1
    )
    said = capsys.readouterr().err
    assert "data must name folders that are there, got" in said
    assert not (tmp_path / "runs").exists()  # nothing began, nothing is left


def test_a_plan_reads_in_gb_and_with_the_commands_that_make_the_data(
    capsys, tmp_path, monkeypatch, repository
):
    from worldfoundry.cli.train import DATA_COMMANDS

    monkeypatch.chdir(tmp_path)
    assert main(["train", "dit-v2w-nano-debug", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "bytes" not in said
    assert " GB\n" in said
    assert f"datasets/debug: {DATA_COMMANDS['datasets/debug']}" in said
    documented = (repository / "docs" / "training.md").read_text(encoding="utf-8")
    assert all(command in documented for command in DATA_COMMANDS.values())
