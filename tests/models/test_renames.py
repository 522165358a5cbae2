"""Both names of what transformers renamed within 5.x: the same numbers, and no warning."""

import functools
import warnings

import pytest
import torch

from ferce.models.vlm import scoring
from ferce.models.vlm.adapters import peft_wraps
from ferce.training.language.adapters import checkpoint_activations

WORDS = 7
PROMPTS = torch.tensor([[1, 4, 2], [3, 3, 5]])
PHRASES = [[2], [6, 1], [0, 5, 4]]


class Output(dict):
    """Keys that are attributes as well, as in an output of transformers."""

    __getattr__ = dict.__getitem__


class Sums:
    """A cache that keeps the sum of each row's words."""

    def __init__(self, sums):
        self.sums = sums

    def reorder_cache(self, rows):
        self.sums = self.sums[rows]


def read(ids, cache, name, logits_to_keep):
    """Logits of word w after words of sum s: cos(s * w)."""
    before = 0 if cache is None else cache.sums[:, None]
    sums = before + ids.cumsum(1)
    logits = torch.cos(sums[..., None] * torch.arange(float(WORDS)))
    return Output(logits=logits[:, -logits_to_keep:], **{name: Sums(sums[:, -1])})


def renamed(forward):
    """Take the old name too, and warn of it, as transformers 5.24 does."""

    @functools.wraps(forward)
    def wrapped(self, **inputs):
        if "past_key_values" in inputs:
            warnings.warn("`past_key_values` is deprecated", FutureWarning, stacklevel=2)
            inputs["cache"] = inputs.pop("past_key_values")
        return forward(self, **inputs)

    return wrapped


class Model:
    def __call__(self, **inputs):
        return self.forward(**inputs)


class Old(Model):
    def forward(self, input_ids, past_key_values=None, use_cache=None, logits_to_keep=0):
        return read(input_ids, past_key_values, "past_key_values", logits_to_keep)


class New(Model):
    @renamed
    def forward(self, input_ids, cache=None, use_cache=None, logits_to_keep=0):
        return read(input_ids, cache, "cache", logits_to_keep)


class Forgetful(Model):
    def forward(self, input_ids, use_cache=None, logits_to_keep=0):
        raise AssertionError("read in vain")


@pytest.mark.parametrize("model", [Old(), New()], ids=["past_key_values", "cache"])
def test_a_shared_prefix_scores_as_plain_passes_do(model):
    shared = scoring.likelihoods(scoring.read_prefix(model, {"input_ids": PROMPTS}), PHRASES, "cpu")
    for column, phrase in enumerate(PHRASES):
        answer = torch.tensor([phrase] * len(PROMPTS))
        logits = model(input_ids=torch.cat([PROMPTS, answer], 1)).logits
        plain = scoring.likelihood_of(logits[:, -len(phrase) - 1 : -1], answer)
        assert torch.allclose(shared[:, column], plain, atol=1e-6)


def test_a_network_without_a_cache_is_refused():
    with pytest.raises(ValueError, match=r"key-value cache .*; Forgetful takes none"):
        scoring.read_prefix(Forgetful(), {"input_ids": PROMPTS})


class Recomputing:
    """A network of transformers before 5.23, which notes what is asked of it."""

    def __init__(self):
        self.asked = []

    def gradient_checkpointing_enable(self, options):
        self.asked.append(options)

    def enable_input_require_grads(self):
        self.asked.append("gradients")


class RecomputingRenamed(Recomputing):
    def activation_checkpointing_enable(self, options):
        self.asked.append(options)

    def gradient_checkpointing_enable(self, options):
        raise AssertionError("the old name is deprecated")


@pytest.mark.parametrize("network", [Recomputing(), RecomputingRenamed()], ids=["old", "new"])
def test_recomputing_is_asked_for_by_the_name_that_there_is(network):
    checkpoint_activations(network)
    assert network.asked == [{"use_reentrant": False}, "gradients"]


def test_only_the_one_warning_is_hushed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # whatever the versions are
        with peft_wraps():
            warnings.warn("`is_gradient_checkpointing` is deprecated", FutureWarning, stacklevel=2)
            with pytest.raises(FutureWarning, match="another"):
                warnings.warn("another", FutureWarning, stacklevel=2)
