import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from worldfoundry.core.errors import DataError
from worldfoundry.inference.latent_file import LatentReader, LatentWriter


def pieces_of(latents, sizes, axis):
    parts, start = [], 0
    for size in sizes:
        parts.append(latents.narrow(axis, start, size))
        start += size
    return parts


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    height=st.integers(1, 3),
    width=st.integers(1, 5),
    codebook_size=st.sampled_from([0, 2, 7, 125, 175, 1000, 64000]),
)
def test_what_is_written_in_pieces_is_read_in_any_others(
    tmp_path_factory, sizes, height, width, codebook_size
):
    path = tmp_path_factory.mktemp("latents") / "a.safetensors"
    generator, count = torch.Generator().manual_seed(0), sum(sizes)
    if codebook_size:
        shape = (1, count, height, width)
        latents = torch.randint(0, codebook_size, shape, generator=generator, dtype=torch.int32)
    else:
        latents = torch.randn((1, 3, count, height, width), generator=generator)
    axis = latents.ndim - 3
    with LatentWriter(path, codebook_size=codebook_size) as writer:
        for piece in pieces_of(latents, sizes, axis):
            writer.append(piece)
        writer.facts["fps"] = "12.5"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    with LatentReader(path) as reader:
        assert (reader.shape, reader.facts["fps"]) == (tuple(latents.shape), "12.5")
        for start in range(count):
            for stop in range(start + 1, count + 1):
                assert torch.equal(reader.read(start, stop), latents.narrow(axis, start, stop - start))
    if not codebook_size:
        assert torch.equal(load_file(path)["latents"], latents)


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), LatentWriter(tmp_path / "a.safetensors") as writer:
        writer.append(torch.zeros(1, 2, 1, 2, 2))
        raise RuntimeError
    with pytest.raises(DataError, match="a latent frame or more"), LatentWriter(tmp_path / "a.safetensors"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_not_latents(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"garbage")
    with pytest.raises(DataError, match="encode first"), LatentReader(tmp_path / "a.safetensors"):
        pass
