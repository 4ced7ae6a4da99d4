import sys
import types

import pytest

from worldfoundry.core.errors import CheckpointError, MissingDependencyError
from worldfoundry.models.pretrained.release import load_tokenizer
from worldfoundry.models.pretrained.tokenizer_files import OpenOptions

NAME = "Cosmos-0.1-Tokenizer-CI16x16"


class HfHubHTTPError(OSError):
    pass


class GatedRepoError(HfHubHTTPError):
    pass


class LocalEntryNotFoundError(FileNotFoundError):
    pass


class HFValidationError(ValueError):
    pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub whose repositories are folders below ``tmp_path``; ``asked`` has what was fetched."""
    module = types.ModuleType("huggingface_hub")
    errors = types.ModuleType("huggingface_hub.errors")
    for error in (HfHubHTTPError, GatedRepoError, LocalEntryNotFoundError, HFValidationError):
        setattr(errors, error.__name__, error)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    module.asked, module.raises = [], None

    def snapshot_download(repository, *, revision=None, allow_patterns=()):
        if module.raises:
            raise module.raises
        module.asked.append((repository, revision, tuple(allow_patterns)))
        source = tmp_path / "hub" / repository.replace("/", "--")
        target = tmp_path / "cache" / source.name / "snapshots" / (revision or "main")
        for path in source.rglob("*") if source.exists() else ():
            relative = path.relative_to(source)
            if str(relative) in allow_patterns:
                (target / relative).parent.mkdir(parents=True, exist_ok=True)
                (target / relative).write_bytes(path.read_bytes())
        target.mkdir(parents=True, exist_ok=True)
        return str(target)

    module.snapshot_download = snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return module


def same(a, b):
    return all((x == y).all() for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_a_published_name_is_fetched_once_in_one_layout(hub, files, tmp_path):
    model, folder = files.tiny(NAME), tmp_path / "hub" / f"nvidia--{NAME}"
    files.export(model, folder)
    files.diffusers(model, folder / "vae")
    for name in (NAME, f"nvidia/{NAME}", f"nvidia/{NAME}@v1.0"):
        loaded = load_tokenizer(name)
        assert same(loaded, model)
        assert loaded.config.norm_groups == 32
    assert [asked[:2] for asked in hub.asked] == [(f"nvidia/{NAME}", r) for r in (None, None, "v1.0")]
    assert all("autoencoder.jit" in wanted and "encoder.jit" not in wanted for _, _, wanted in hub.asked)


@pytest.mark.parametrize("layout", ["vae", "halves", "model.pt"])
def test_other_layouts_are_fetched_where_the_first_are_not_there(hub, files, tmp_path, layout):
    name = "Cosmos-0.1-Tokenizer-CV4x8x8"
    model, folder = files.tiny(name), tmp_path / "hub" / f"me--{name}-tuned"
    if layout == "vae":
        files.diffusers(model, folder / "vae")
    elif layout == "halves":
        files.export(model, folder, files=("encoder", "decoder"))
    else:
        files.checkpoint(model, folder)
    assert same(load_tokenizer(f"me/{name}-tuned"), model)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            LocalEntryNotFoundError("offline"),
            r"must be in the cache or the Hub within reach.*once with a network",
        ),
        (GatedRepoError("403"), r"accept it on the page .*hf auth login"),
        (
            HfHubHTTPError("404 not found"),
            r"must be a repository on the Hub, got 404 not found; check the name",
        ),
        (HFValidationError("bad name"), r"must be a repository on the Hub, got bad name"),
    ],
)
def test_what_the_hub_refuses_is_one_error_with_the_fix(hub, error, says):
    hub.raises = error
    with pytest.raises(CheckpointError, match=says):
        load_tokenizer("someone/something")


def test_a_repository_without_weights_says_what_was_looked_for(hub):
    with pytest.raises(
        CheckpointError, match=r"must hold model\.safetensors .* or encoder\.jit \+ decoder\.jit"
    ):
        load_tokenizer("someone/something")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'worldfoundry\[hub\]'"):
        load_tokenizer(f"nvidia/{NAME}")


def test_a_cached_snapshot_is_used_offline(files, tmp_path, monkeypatch):
    """With the real package: its cache is laid out by hand, and the network is off."""
    constants = pytest.importorskip("huggingface_hub.constants", exc_type=ImportError)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    folder, commit = tmp_path / f"models--nvidia--{NAME}", "0" * 40
    model = files.tiny(NAME)
    files.export(model, folder / "snapshots" / commit, files=("autoencoder",))
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    assert same(load_tokenizer(NAME), model)
    with pytest.raises(CheckpointError, match="norm_groups must be 32"):
        load_tokenizer(NAME, options=OpenOptions(norm_groups=1))
    with pytest.raises(CheckpointError, match="must be in the cache or the Hub within reach"):
        load_tokenizer("nvidia/Cosmos-0.1-Tokenizer-CI8x8")
