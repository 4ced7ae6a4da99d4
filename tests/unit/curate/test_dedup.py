"""The best of all copies stays; a clip goes only for one that stays; the order of the input changes nothing."""

import numpy as np
import pytest
from tests.unit.curate.planted import described, filmed

from worldfoundry.curate.config import DedupConfig
from worldfoundry.curate.dedup import _Clustered, _Exact, cluster, find_duplicates, unit_rows
from worldfoundry.curate.detect import alignment
from worldfoundry.curate.similarities import Similarities, read_similarities, write_similarities
from worldfoundry.curate.store import open_store

BLANK = described(np.zeros((4, 8, 8, 3), np.uint8), 4.0)
SEMANTIC = DedupConfig(perceptual=False, min_semantic=0.97)


def unit_at(*degrees: float) -> list[np.ndarray]:
    return [np.array([np.cos(np.radians(d)), np.sin(np.radians(d))], np.float32) for d in degrees]


def semantic(embeddings, ranks, config=SEMANTIC):
    return find_duplicates([BLANK] * len(embeddings), ranks, config, embeddings=embeddings)


@pytest.fixture(scope="module")
def clips():
    """Three windows of one place with copies, and a rank for each: the first of a window is the best."""
    found = []
    for moment in range(3):
        pixels = filmed(moment=moment)
        found += [
            (moment, (2, moment), described(pixels, 20.0)),
            (moment, (1, moment, "mirror"), described(pixels[:, :, ::-1], 20.0)),
            (moment, (1, moment, "crop"), described(pixels[:, 5:-6, 9:-9], 20.0)),
        ]
    return found


def test_of_each_window_exactly_the_best_stays(clips):
    found = find_duplicates([c[2] for c in clips], [c[1] for c in clips], DedupConfig())
    assert [copy is None for copy in found] == [True, False, False] * 3
    for (moment, _, _), copy in zip(clips, found, strict=True):
        assert copy is None or (clips[copy.of][0] == moment and copy.stage == "perceptual")


def test_the_order_of_the_input_changes_nothing(clips):
    straight = find_duplicates([c[2] for c in clips], [c[1] for c in clips], DedupConfig())
    order = np.random.default_rng(3).permutation(len(clips))
    mixed = find_duplicates([clips[k][2] for k in order], [clips[k][1] for k in order], DedupConfig())
    for place, k in enumerate(order):
        one, two = straight[k], mixed[place]
        assert (one is None) == (two is None)
        if one and two:
            assert (order[two.of], two.similarity) == (one.of, one.similarity)


def test_clusters_lose_no_mirrored_copy_and_find_nothing_that_is_none(clips):
    found = find_duplicates([c[2] for c in clips], [c[1] for c in clips], DedupConfig(exact_up_to=0))
    for (moment, rank, _), copy in zip(clips, found, strict=True):
        assert copy is not None or rank[-1] != "mirror"
        assert copy is None or clips[copy.of][0] == moment


def test_a_chain_loses_only_the_one_in_the_middle():
    # A~B and B~C at 10 degrees (cosine 0.985), but not A~C at 20 degrees (0.94).
    found = semantic(unit_at(0, 10, 20), [(3,), (2,), (1,)])
    assert found[0] is None
    assert found[1] is not None
    assert found[1].of == 0
    assert found[2] is None


@pytest.mark.parametrize("seed", range(5))
def test_every_removed_clip_is_near_a_kept_one_and_kept_ones_are_apart(seed):
    rng = np.random.default_rng(seed)
    embeddings = unit_rows(rng.normal(size=(300, 3)))
    ranks = [(float(r), k) for k, r in enumerate(rng.permutation(300))]
    found = semantic(embeddings, ranks)
    kept = [k for k, copy in enumerate(found) if copy is None]
    for k, copy in enumerate(found):
        if copy is not None:
            assert found[copy.of] is None
            assert ranks[copy.of] > ranks[k]
            assert copy.similarity == pytest.approx(float(embeddings[k] @ embeddings[copy.of]), abs=1e-5)
            assert copy.similarity >= 0.97
    near = embeddings[kept] @ embeddings[kept].T
    assert (near[~np.eye(len(kept), dtype=bool)] < 0.97).all()


def test_clips_without_an_embedding_stay():
    embeddings = [None, np.array([np.nan, 1.0]), np.array([1.0, 0.0]), np.array([1.0, 0.0])]
    assert [c is None for c in semantic(embeddings, [(4,), (3,), (2,), (1,)])] == [True, True, True, False]


def test_nothing_to_compare_is_nothing_removed():
    assert find_duplicates([], [], DedupConfig()) == []
    assert semantic([None, None], [(1,), (2,)]) == [None, None]


def test_clusters_find_nearly_all_planted_pairs():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(2000, 32))
    near = base[:300] + 0.05 * rng.normal(size=(300, 32))
    vectors = unit_rows(np.concatenate([base, near]))[:, None]
    clustered, exact = _Clustered(vectors), _Exact(vectors)
    hits = 0
    for k in range(2000, 2300):
        places, cosines = clustered.before(k)
        assert exact.before(k)[1][k - 2000] > 0.97
        hits += bool(((places == k - 2000) & (cosines > 0.97)).any())
    assert hits >= 297
    assert len(cluster(vectors[:, 0])) <= 96


def test_pairs_that_were_compared_are_not_compared_again(clips, tmp_path):
    """Also where other clips are asked about; stored pairs of another version of the comparison are forgotten."""
    names = [f"{k:020d}" for k in range(len(clips))]
    compared = []

    def decided(chosen, pairs):
        def similarity(a, b, compare):
            def counted():
                compared.append((a, b))
                return compare()

            return pairs.of((names[chosen[a]], names[chosen[b]]), counted)

        some = [clips[k] for k in chosen]
        return find_duplicates(
            [c[2] for c in some], [c[1] for c in some], DedupConfig(), similarity=similarity
        )

    everything = list(range(len(clips)))
    store, first = open_store(tmp_path), Similarities()
    straight = decided(everything, first)
    assert straight == find_duplicates([c[2] for c in clips], [c[1] for c in clips], DedupConfig())
    assert len(compared) == len(first.asked) > 0
    write_similarities(store, first.asked)
    assert read_similarities(store) == first.asked
    compared.clear()
    assert decided(everything, Similarities(read_similarities(store))) == straight
    assert compared == []
    fewer = everything[
        1:
    ]  # without the best of the first window: its two copies must now be told from each other
    assert [copy is None for copy in decided(fewer, Similarities(first.asked))][:2].count(True) == 1
    assert 0 < len(compared) < len(first.asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "VERSION", alignment.VERSION + 1)
        assert read_similarities(store) == {}
    write_similarities(store, {})
    assert not store.exists("similarities.parquet")
