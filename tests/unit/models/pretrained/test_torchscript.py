import pickle
import warnings
import zipfile

import pytest
import torch

from worldfoundry.core.errors import CheckpointError
from worldfoundry.models.pretrained.torchscript import read_torchscript, write_torchscript

VIDEO, DISCRETE, IMAGE = (
    "Cosmos-0.1-Tokenizer-CV4x8x8",
    "Cosmos-0.1-Tokenizer-DV8x16x16",
    "Cosmos-0.1-Tokenizer-CI8x8",
)


def torchscript(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(path)


def same(a, b):
    return (
        a.keys() == b.keys()
        and all(a[k].dtype == b[k].dtype for k in a)
        and all(torch.equal(a[k], b[k]) for k in a)
    )


@pytest.mark.parametrize("name", [VIDEO, DISCRETE, IMAGE])
@pytest.mark.parametrize("file", ["autoencoder", "encoder", "decoder"])
def test_what_is_read_is_what_the_archive_holds(files, tmp_path, name, file):
    path = files.export(files.tiny(name), tmp_path, files=(file,)) / f"{file}.jit"
    found = read_torchscript(path)
    assert same(found, dict(torchscript(path).state_dict()))
    assert found


def test_what_is_written_is_what_torchscript_reads(tmp_path):
    weights = {
        "encoder.down.0.weight": torch.randn(3, 2).bfloat16(),
        "encoder.down.10.weight": torch.randn(2),
        "quant_conv.bias": torch.randn(4).half(),
    }
    buffers = {"encoder.patcher._arange": torch.arange(2), "quantizer._levels": torch.tensor([8, 5]).int()}
    write_torchscript(tmp_path / "a.jit", weights, buffers)
    loaded = torchscript(tmp_path / "a.jit")
    assert same(dict(loaded.state_dict()), weights | buffers)
    assert {name for name, _ in loaded.named_parameters()} == weights.keys()
    assert same(read_torchscript(tmp_path / "a.jit"), weights | buffers)
    with pytest.raises(torch.jit.Error, match="weights only"):
        loaded(torch.zeros(1))


class Bomb:
    def __reduce__(self):
        return print, ("ran",)


@pytest.mark.parametrize("content", [Bomb(), {"weight": Bomb()}, pickle.loads, torch.load])
def test_a_pickle_that_names_code_is_refused_and_nothing_runs(tmp_path, capsys, content):
    path = tmp_path / "evil.jit"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("evil/data.pkl", pickle.dumps(content, protocol=2))
    with pytest.raises(CheckpointError, match=r"must hold modules and tensors only, got .*; it is refused"):
        read_torchscript(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("size", [0, 3, 100, 2000, -1])
def test_a_broken_archive_is_named_with_the_fix(files, tmp_path, size):
    path = files.export(files.tiny(VIDEO), tmp_path, files=("encoder",)) / "encoder.jit"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"encoder\.jit must be a whole TorchScript archive.*again"):
        read_torchscript(path)


@pytest.mark.parametrize(("size", "offset", "data"), [((2, 2), 0, b"12"), ((9, 9), 0, None), ((2,), 3, None)])
def test_a_tensor_that_leaves_its_bytes_is_refused(tmp_path, size, offset, data):
    path = tmp_path / "short.jit"
    write_torchscript(path, {"a.weight": torch.randn(2, 2)}, {})
    with zipfile.ZipFile(path) as archive:
        records = {i.filename: archive.read(i) for i in archive.infolist()}
    if data is not None:
        records[next(n for n in records if n.endswith("/data/0"))] = data
    old = b"K\x00(K\x02K\x02t"  # offset 0, size (2, 2)
    new = b"K" + bytes([offset]) + b"(" + b"".join(b"K" + bytes([n]) for n in size) + b"t"
    (name,) = (n for n in records if n.endswith("data.pkl"))
    assert old in records[name]
    records[name] = records[name].replace(old, new)
    with zipfile.ZipFile(path, "w") as archive:
        for record, content in records.items():
            archive.writestr(record, content)
    with pytest.raises(CheckpointError, match=r"short\.jit.*again"):
        read_torchscript(path)
