"""Garbage of a set: files that its index and its present settings no longer refer to."""

from worldfoundry.curate.encode import trouble_path
from worldfoundry.curate.index import CuratedSet, read_index
from worldfoundry.curate.records import source_path

_FOLDERS = ("analysis", "records", "clips")  # answers of models cost too much to make again


def collect(curated: CuratedSet, *, remove: bool) -> list[str]:
    """Names of files that nothing refers to, removed if so wished."""
    store = curated.store
    fingerprint = curated.manifest["fingerprints"]["analysis"]
    ids = {row["source_id"] for row in curated.rows if row["source_id"]}
    wanted = {source_path("analysis", i, f"-{fingerprint}{s}") for i in ids for s in (".npz", ".json")}
    encoding = curated.manifest["fingerprints"]["encode"]
    wanted |= {trouble_path(i, encoding) for i in ids}
    kept = [row for row in curated.rows if row["decision"] == "kept"]
    wanted |= {row["path"] for row in kept}
    wanted |= {source_path("records", row["source_id"], ".json") for row in kept}

    for subset in store.names("sets"):
        rows = read_index(store, subset)
        wanted |= {row["path"] for row in rows} | {
            source_path("records", r["source_id"], ".json") for r in rows
        }
    names = [n for folder in _FOLDERS for n in store.names(folder) if n not in wanted]
    if remove:
        for name in names:
            store.remove(name)
    return names
