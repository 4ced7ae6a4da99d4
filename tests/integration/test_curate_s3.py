"""Sources and results in an object store: a real S3 server on this machine."""

import dataclasses

import pytest
import s3fs
from moto import server as moto
from tests.unit.curate.standins import video
from tests.unit.curate.test_pipeline import CONFIG, DETECTORS, everything

from worldfoundry.core.errors import DataError
from worldfoundry.curate.config import LimitsConfig
from worldfoundry.curate.index import read_index
from worldfoundry.curate.ingest import find_sources
from worldfoundry.curate.local import LocalExecutor
from worldfoundry.curate.pipeline import Request, run
from worldfoundry.curate.store import open_store

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # those of the clients themselves


@pytest.fixture(scope="module")
def bucket():
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ENDPOINT_URL", f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "test")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("films")
    yield "s3://films"
    s3fs.S3FileSystem.clear_instance_cache()
    patch.undo()
    server.stop()


@pytest.fixture(scope="module")
def footage(bucket, tmp_path_factory):
    folder = tmp_path_factory.mktemp("footage")
    video(folder / "a.mp4", (1, 14, 2), (2, 12, 3))
    video(folder / "b" / "static.mp4", (3, 12, 0))
    (folder / "b" / "text.avi").write_text("not a video")
    s3fs.S3FileSystem().put(str(folder), "films/in", recursive=True)
    return folder


def curate(source: str, out: str, workers: int = 0):
    config = dataclasses.replace(CONFIG, limits=LimitsConfig(base_s=120.0))
    request = Request(inputs=(source,), out=out, config=config, detectors=DETECTORS)
    return run(request, executor=LocalExecutor(num_workers=workers))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_object_store_gives_what_folders_give(bucket, footage, tmp_path, workers):
    local = curate(str(footage), str(tmp_path / "out"))
    out = f"{bucket}/out{workers}"
    remote = curate(f"{bucket}/in", out, workers)
    assert not remote.failed, read_index(open_store(out))
    assert (remote.kept, remote.rejected) == (local.kept, local.rejected) == (2, {"damaged": 1, "static": 1})
    store, expected = open_store(out), everything(tmp_path / "out")
    assert {
        n: store.read_bytes(n) for n in store.names() if n.split("/")[0] in ("clips", "analysis", "records")
    } == {n: data for n, data in expected.items() if n.split("/")[0] in ("clips", "analysis", "records")}
    assert read_index(store) == read_index(open_store(tmp_path / "out"))
    before = {n: store.read_bytes(n) for n in store.names()}
    curate(f"{bucket}/in", out, workers)
    assert {n: store.read_bytes(n) for n in store.names()} == before


def test_patterns_lists_and_single_objects(bucket, footage, tmp_path):
    def names(*inputs: str) -> list[str]:
        return [s.name for s in find_sources(inputs)]

    assert names(f"{bucket}/in") == ["a.mp4", "b/static.mp4", "b/text.avi"]
    assert names(f"{bucket}/in/**/*.avi", f"{bucket}/in/a.mp4") == ["a.mp4", "b/text.avi"]
    (tmp_path / "list.txt").write_text(f"# two\n{bucket}/in/a.mp4\n{bucket}/in/b/static.mp4\n")
    assert names(str(tmp_path / "list.txt")) == ["a.mp4", "b/static.mp4"]
    with pytest.raises(DataError, match="must hold videos"):
        names(f"{bucket}/empty")


def test_a_source_that_vanished_is_a_row(bucket, footage, tmp_path):
    (tmp_path / "list.txt").write_text(f"{bucket}/in/a.mp4\n")
    (source,) = find_sources([str(tmp_path / "list.txt")])
    s3fs.S3FileSystem().copy("films/in/a.mp4", "films/gone/z.mp4")
    s3fs.S3FileSystem.clear_instance_cache()
    found = find_sources([f"{bucket}/gone"])
    assert [s.name for s in found] == ["z.mp4"]
    assert found[0].stamp == source.stamp  # the content's, wherever it lies
