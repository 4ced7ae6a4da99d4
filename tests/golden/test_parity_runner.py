import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from worldfoundry.cli.parity import run
from worldfoundry.core.errors import DataError
from worldfoundry.evaluate.parity import run_parity

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "diffusion"


def copy(name: str, folder: Path, change=None, meta=None) -> Path:
    tensors, fields = (
        load_file(GOLDEN / f"{name}.safetensors"),
        json.loads((GOLDEN / f"{name}.json").read_text()),
    )
    if change:
        change(tensors)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(fields | (meta or {})))
    return folder


def test_cases_are_found_at_any_depth_and_named_by_their_path(tmp_path):
    copy("20_edm_scaling", tmp_path / "a" / "b")
    (row,) = run_parity(tmp_path)
    assert (row.case, row.verdict) == ("a/b/20_edm_scaling", "pass")


@pytest.mark.parametrize("bad", [1e-3, float("nan")])
def test_a_wrong_number_fails(tmp_path, bad):
    def spoil(tensors):
        tensors["outputs/c_in"][3] += bad

    (row,) = run_parity(copy("20_edm_scaling", tmp_path, spoil))
    assert row.verdict == "fail"


def test_a_network_that_differs_in_one_weight_fails(tmp_path):
    def spoil(tensors):
        tensors["weights/blocks.block1.blocks.1.block.attn.to_k.1.weight"][0] += 0.01

    (row,) = run_parity(copy("04_v2w", tmp_path, spoil))
    assert row.verdict == "fail"
    assert row.max_abs is not None


def test_a_crash_is_a_failure_that_keeps_its_message_and_stops_nothing(tmp_path):
    def drop(tensors):
        del tensors["weights/affline_norm.weight"]

    copy("04_v2w", tmp_path, drop)
    copy("20_edm_scaling", tmp_path)
    (tmp_path / "99_torn.json").write_text("{")
    (tmp_path / "99_torn.safetensors").write_bytes(b"torn")
    rows = {row.case: row for row in run_parity(tmp_path)}
    assert [row.verdict for row in rows.values()] == ["fail", "pass", "fail"]
    assert "affline_norm" in rows["04_v2w"].note
    assert "valid JSON" in rows["99_torn"].note


def test_what_is_not_supported_is_never_passed(tmp_path):
    copy("20_edm_scaling", tmp_path, meta={"kind": "telepathy"})
    fields = json.loads((GOLDEN / "04_v2w.json").read_text())["config"]
    copy("04_v2w", tmp_path, meta={"config": fields | {"block_config": "FA-MLP"}})
    rows = list(run_parity(tmp_path))
    assert [(row.verdict, row.max_abs) for row in rows] == [("unsupported", None)] * 2
    assert "telepathy" in rows[1].note


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_folder_without_cases_is_a_data_error(tmp_path, name):
    with pytest.raises(DataError, match=r"folder of golden cases|golden folder"):
        list(run_parity(tmp_path / name))
    with pytest.raises(DataError):
        run([str(tmp_path / name)])


def test_the_command_prints_every_row_and_its_exit_code_tells_of_failures(tmp_path, capsys):
    copy("20_edm_scaling", tmp_path / "good")
    assert run([str(tmp_path / "good")]) == 0
    assert "20_edm_scaling" in capsys.readouterr().out

    def spoil(tensors):
        tensors["outputs/c_in"] += torch.full((16,), float("nan"), dtype=torch.float64)

    copy("20_edm_scaling", tmp_path / "bad", spoil)
    assert run([str(tmp_path), "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert {row["case"]: row["verdict"] for row in rows} == {
        "good/20_edm_scaling": "pass",
        "bad/20_edm_scaling": "fail",
    }
    assert all(row.keys() >= {"case", "max_abs", "tolerance", "verdict"} for row in rows)
