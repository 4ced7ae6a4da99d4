"""What may be written: never over an input, over another file only when asked, and refused before any work."""

import os

import numpy as np
import pytest

from worldfoundry.cli.main import main
from worldfoundry.cli.output import check_output_file, check_output_folder
from worldfoundry.core.errors import ConfigError
from worldfoundry.data.video_write import write_video
from worldfoundry.protocols.frames import Frames

COMMANDS = {
    ".mp4": (["tokenize", "roundtrip", "{source}"], ["tokenize", "decode", "{source}"]),
    ".safetensors": (["tokenize", "encode", "{source}"],),
}
WRITERS = [(suffix, line) for suffix, lines in COMMANDS.items() for line in lines]
WRITERS += [(".mp4", ["generate", "--video", "{source}"]), (".mp4", ["generate", "--image", "{source}"])]


def refusal(capsys, *args) -> str:
    assert main([str(a) for a in args]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


@pytest.mark.parametrize(("suffix", "line"), WRITERS)
def test_a_command_never_writes_over_its_input(capsys, tmp_path, suffix, line):
    source = tmp_path / f"source{suffix}"
    source.write_bytes(b"precious")
    (tmp_path / "there").mkdir()
    (tmp_path / f"hard{suffix}").hardlink_to(source)
    args = [source if word == "{source}" else word for word in line]
    for out in (source, tmp_path / f"there/../source{suffix}", tmp_path / f"hard{suffix}"):
        for more in ([], ["--overwrite"]):
            said = refusal(capsys, *args, "--out", out, *more)
            assert f"--out must not be the input, which would be lost, got '{out}'" in said
    assert source.read_bytes() == b"precious"


@pytest.mark.parametrize(("suffix", "line"), [*WRITERS, (".json", ["evaluate", "rollout"])])
def test_what_is_there_is_replaced_only_with_overwrite(capsys, tmp_path, suffix, line):
    out = tmp_path / f"out{suffix}"
    out.write_bytes(b"earlier")
    args = [tmp_path / "source" if word == "{source}" else word for word in line]
    assert "--out must not exist yet, got" in (said := refusal(capsys, *args, "--out", out))
    assert "--overwrite" in said
    assert f"--out must end in {suffix}, got" in refusal(capsys, *args, "--out", tmp_path / "out.gif")
    assert out.read_bytes() == b"earlier"
    check_output_file(out, suffix, overwrite=True)


def test_a_place_that_cannot_hold_the_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ConfigError, match=r"and .*/file is a file; name another place"):
        check_output_file(tmp_path / "file" / "deep" / "a.mp4", ".mp4")
    with pytest.raises(ConfigError, match=r"got the folder .*folder\.mp4"):
        check_output_file(tmp_path / "folder.mp4", ".mp4", overwrite=True)
    with pytest.raises(ConfigError, match="--out must not exist yet"):
        check_output_folder(tmp_path / "file")
    check_output_file(tmp_path / "new" / "deep" / "A.MP4", ".mp4")
    check_output_folder(tmp_path / "new")


def test_each_command_that_makes_a_folder_asks_first(capsys, tmp_path):
    for line in (
        ["simulate", "free-fall"],
        ["data", "prepare", tmp_path],
        ["demo", "--samples", tmp_path],
        ["models", "convert", "dit-v2w-nano"],
    ):
        assert "--out must not exist yet" in refusal(capsys, *line, "--out", tmp_path)


def test_latents_may_be_read_by_whom_the_other_files_may(tmp_path):
    video, other = tmp_path / "a.mp4", tmp_path / "other"
    write_video(video, Frames.at_constant_rate(np.zeros((5, 16, 16, 3), np.uint8), 10.0))
    old = os.umask(0o027)
    try:
        other.write_text("")
        assert main(["tokenize", "encode", str(video), "--out", str(tmp_path / "z.safetensors")]) == 0
    finally:
        os.umask(old)
    assert (tmp_path / "z.safetensors").stat().st_mode == other.stat().st_mode
