"""Search finds a clip by itself, by a changed copy of it, and by words about it."""

import numpy as np
import pytest
from tests.unit.curate.planted import filmed
from tests.unit.curate.sets import FPS, make_set, row_of

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.curate.config import CurateConfig, EmbedConfig
from worldfoundry.curate.index import write_embeddings
from worldfoundry.curate.plugins import ENRICHERS, embedders
from worldfoundry.curate.search import bm25, search, search_page
from worldfoundry.data.video_write import VideoWriter

ROWS = [
    row_of(0, caption="A red car turns left", type="driving", camera_motion="pan-left"),
    row_of(1, caption="Two people cook", type="people"),
    row_of(2, caption="A robot arm lifts a car", type="robot", camera_motion="zoom-in"),
    row_of(3, decision="rejected", reason="static", caption="a car", path=None),
]


@pytest.fixture(scope="module")
def curated(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("search") / "set", ROWS)


def ids(hits):
    return [int(hit["clip_id"], 16) for hit in hits]


def test_a_changed_copy_finds_its_original_first(curated, tmp_path):
    with VideoWriter(tmp_path / "query.mp4", fps=FPS, crf=32) as writer:
        for picture in filmed(moment=2, start=0.4)[:, 4:-4, ::-1]:
            writer.write(np.ascontiguousarray(picture))
    hits = search(curated, str(tmp_path / "query.mp4"))
    assert ids(hits)[0] == 2
    assert [hit["how"] for hit in hits] == ["copy", "looks alike", "looks alike"]
    assert hits[0]["score"] > hits[1]["score"]


def test_a_clip_id_finds_others_that_look_alike_and_not_itself(curated):
    assert sorted(ids(search(curated, ROWS[0]["clip_id"]))) == [1, 2]


@pytest.mark.parametrize(
    ("query", "first"), [("cooking", 1), ("robots", 2), ("pan left", 0), ("driving", 0), ("zoom-in car", 2)]
)
def test_words_find_captions_types_and_tags(curated, query, first):
    assert ids(search(curated, query))[0] == first


def test_only_kept_clips_that_fit_are_found_and_no_more_than_asked(curated):
    assert sorted(ids(search(curated, "car"))) == [0, 2]
    assert len(search(curated, "car", top=1)) == 1
    assert search(curated, "elephant") == []


def test_a_rare_word_counts_more_than_a_common_one():
    rows = [{"caption": "a car"}] * 8 + [{"caption": "a zebra"}]
    scores = bm25("car zebra", rows)
    assert scores[-1] == max(scores)


def test_embeddings_of_the_set_are_used_for_a_clip_id(tmp_path):
    store = make_set(tmp_path / "set", ROWS[:3])
    vectors = [np.array(v, np.float32) for v in ((1, 0), (0, 1), (0.9, 0.1))]
    write_embeddings(store, "clip", {row["clip_id"]: v for row, v in zip(ROWS, vectors, strict=False)})
    hits = search(store, ROWS[0]["clip_id"])
    assert ids(hits) == [2, 1]
    assert {hit["how"] for hit in hits} == {"embedding"}
    assert ids(search(store, "cook")) == [1]  # no model at hand for free text: words


def embedding_set(folder, weights):
    """A set whose clips were embedded by a tiny random model that also takes text."""
    import torch

    generator = torch.Generator().manual_seed(0)
    pictures, letters = (torch.randn(n, 6, generator=generator) for n in (3, 128))

    class Model:
        def get_vid_feat(self, pixels):
            return pixels.mean((1, 3, 4)) @ pictures

        def get_txt_feat(self, text):
            return sum(letters[ord(letter)] for letter in text)[None]

    model = embedders.internvideo2(Model(), str(weights))
    store = make_set(
        folder,
        ROWS[:3],
        CurateConfig(embed=EmbedConfig(model="internvideo2", weights=str(weights))),
    )
    vectors = [model.embed_text(text) for text in ("a cat", "snow", "a boat")]
    write_embeddings(
        store, "internvideo2", {row["clip_id"]: v for row, v in zip(ROWS, vectors, strict=False)}
    )
    return store, model


def test_free_text_is_embedded_where_the_model_is_at_hand(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    store, model = embedding_set(tmp_path / "set", tmp_path / "weights")
    asked = []
    monkeypatch.setattr(ENRICHERS, "get", lambda name: lambda weights: asked.append((name, weights)) or model)
    hits = search(store, "snow")
    assert ids(hits)[0] == 1
    assert hits[0]["score"] == pytest.approx(1.0, abs=1e-4)
    assert {hit["how"] for hit in hits} == {"embedding"}
    assert asked == [("internvideo2", str(tmp_path / "weights"))]


def test_an_example_file_is_embedded_where_the_model_is_at_hand(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    store, model = embedding_set(tmp_path / "set", tmp_path / "weights")
    monkeypatch.setattr(ENRICHERS, "get", lambda name: lambda weights: model)
    with VideoWriter(tmp_path / "query.mp4", fps=FPS) as writer:
        for picture in filmed(moment=0):
            writer.write(picture)
    hits = search(store, str(tmp_path / "query.mp4"))
    assert len(hits) == 3
    assert {hit["how"] for hit in hits} == {"embedding"}


def test_without_the_model_words_are_matched_and_a_question_they_cannot_answer_is_told(tmp_path):
    store, _ = embedding_set(tmp_path / "set", tmp_path / "gone")
    hits = search(store, "people")
    assert (ids(hits), hits[0]["how"]) == ([1], "words")
    with pytest.raises(DataError, match=r"'snow'.*'internvideo2'.*gone"):
        search(store, "snow")


def test_the_page_stands_alone_and_takes_texts_as_texts(curated):
    hits = search(curated, "car")
    page = search_page(curated, "<script>car", hits)
    assert "&lt;script&gt;car" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert all(hit["clip_id"] in page or hit["caption"] in page for hit in hits)


def test_questions_that_cannot_be_asked_are_told(curated):
    with pytest.raises(ConfigError, match="empty"):
        search(curated, " ")
    with pytest.raises(DataError, match="no"):
        search(curated, "films/none.mp4")
