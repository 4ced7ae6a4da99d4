"""A vision-language model of this machine answers in the same types as an endpoint, and is loaded only when asked."""

import sys

import numpy as np
import pytest
from tests.unit.curate.sets import row_of

from worldfoundry.core.errors import MissingDependencyError
from worldfoundry.curate.annotate import annotate, captioner_of
from worldfoundry.curate.config import AnnotateConfig
from worldfoundry.curate.plugins.language import LanguageModel
from worldfoundry.curate.store import open_store

ROWS = [row_of(k) for k in range(3)]


def frames_of(row, num_frames, max_side_px):
    return np.full((num_frames, 4, 6, 3), int(row["clip_id"], 16), np.uint8), np.arange(num_frames) / 4


class Words(dict):
    """What a processor gives: usable as keywords."""


class TinyLanguage:
    """A model and its processor in one: counts the pictures it was shown, in as many tokens as it is allowed."""

    def __init__(self, said):
        self.said, self.seen = said, []

    def apply_chat_template(self, messages, **options):
        import torch

        assert options["add_generation_prompt"]
        self.seen = messages[0]["content"]
        return Words(input_ids=torch.ones(1, 7, dtype=torch.long))

    def generate(self, input_ids, max_new_tokens, do_sample):
        import torch

        assert not do_sample
        said = torch.arange(100, 100 + min(max_new_tokens, self.said))[None]
        return torch.cat([input_ids, said], 1)

    def decode(self, tokens, skip_special_tokens):
        return " ".join(f"w{int(token)}" for token in tokens) + " "


@pytest.mark.parametrize(("said", "outcome"), [(3, "success"), (9, "truncated"), (0, "error")])
def test_a_model_of_this_machine_answers_in_the_same_types(said, outcome):
    tiny = TinyLanguage(said)
    model = LanguageModel(model=tiny, processor=tiny, max_tokens=5)
    answer = model.ask(np.zeros((2, 4, 4, 3), np.uint8), "What?")
    assert answer.outcome == outcome
    assert answer.text == " ".join(f"w{100 + k}" for k in range(min(said, 5)))
    assert (answer.num_prompt_tokens, answer.num_output_tokens) == (7, min(said, 5))
    assert [part["type"] for part in tiny.seen] == ["image", "image", "text"]


def test_a_local_model_writes_captions_and_is_loaded_only_for_unknown_clips(tmp_path, monkeypatch):
    loaded = []

    def load(weights, *, max_tokens):
        loaded.append(weights)
        return LanguageModel(model=TinyLanguage(2), processor=TinyLanguage(2), max_tokens=max_tokens)

    monkeypatch.setattr("worldfoundry.curate.plugins.language.load_language", load)
    config = AnnotateConfig(captioner="transformers", model="some/model")
    for _ in range(2):
        written = annotate(ROWS, open_store(tmp_path), config, frames=frames_of)
        assert [(w["caption"], w["caption_by"]) for w in written] == [("w100 w101", "some/model")] * 3
    assert loaded == ["some/model"]


def test_a_model_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        captioner_of(AnnotateConfig(captioner="transformers", model="some/model"))
