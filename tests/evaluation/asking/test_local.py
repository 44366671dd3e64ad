"""A model on disk that replies: the same whatever it is asked beside, and with the probabilities it really gave."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from evaluation.asking.local import LocalModel, reference_logprobs
from evaluation.asking.replies import How, Prompt, Reply, Wanted
from training.exceptions import Stopped
from training.specs import HardwareSpec
from training.stopping import StopRequest

PROMPTS: list[Prompt] = [
    "Where was Ada born?",
    "Where?",
    [
        {"role": "user", "content": "Where was Bo born?"},
        {"role": "assistant", "content": "Rome."},
        {"role": "user", "content": "Are you sure?"},
    ],
]


def local(path: Path, batch_size: int = 8) -> LocalModel:
    return LocalModel(str(path), hardware=HardwareSpec(threads=1), prompt_format="auto", batch_size=batch_size)


def replies(model: LocalModel, wanted: list[Wanted], how: How) -> list[Reply]:
    found: dict[int, Reply] = {}
    model.reply(wanted, how, keep=found.update, stop=StopRequest())
    return [found[index] for index in range(len(wanted))]


def test_what_is_drawn_is_a_matter_of_the_prompt_the_sample_and_the_seed_alone(tiny: Callable[[int], Path]) -> None:
    wanted = [Wanted(prompt, sample) for prompt in PROMPTS for sample in range(4)]
    how = How(max_new_tokens=6, temperature=1.0, seed=5)
    together = replies(local(tiny(0)), wanted, how)
    alone = [replies(local(tiny(0), batch_size=1), [one], how)[0] for one in reversed(wanted)][::-1]
    assert [one.ids for one in together] == [one.ids for one in alone]
    assert [one.logprob for one in together] == pytest.approx([one.logprob for one in alone], abs=1e-4)
    assert [one.ids for one in together] != [one.ids for one in replies(local(tiny(0)), wanted, How(6, 1.0, seed=6))]
    assert len({one.ids for one in together[:4]}) > 1


def test_a_reply_tells_the_probability_that_the_model_gives_it(tiny: Callable[[int], Path]) -> None:
    """Against the model's own distributions, token by token, without a batch and without a cache."""
    model = local(tiny(0))
    how = How(max_new_tokens=5)
    loaded = model._loaded
    for prompt, reply in zip(PROMPTS, replies(model, [Wanted(prompt) for prompt in PROMPTS], how), strict=True):
        ids = list(model._sampler(how).tokens(prompt))
        total = 0.0
        assert reply.ids and reply.tokens == len(reply.ids)
        for token in reply.ids:
            with torch.inference_mode():
                shares = loaded.model(torch.tensor([ids])).logits[0, -1].float().log_softmax(-1)
            assert int(shares.argmax()) == token
            total += float(shares[token])
            ids.append(token)
        assert reply.logprob == pytest.approx(total, abs=1e-4)


def test_a_reply_that_was_cut_off_says_so(tiny: Callable[[int], Path]) -> None:
    model = local(tiny(0), batch_size=300)
    ends = set(model._sampler(How(1))._ends)
    found = replies(model, [Wanted(PROMPTS[0], sample) for sample in range(300)], How(8, 50.0, seed=1))
    assert {one.ending for one in found} == {"stop", "length"}
    assert all(one.ids and (one.ids[-1] in ends) == (one.ending == "stop") for one in found)


def test_samples_follow_the_models_distribution_at_their_temperature(tiny: Callable[[int], Path]) -> None:
    """The first token of 2,000 samples against its probabilities: a chi-squared test at one in a million."""
    from scipy.stats import chisquare

    model, how = local(tiny(1), batch_size=500), How(max_new_tokens=1, temperature=1.5)
    drawn = replies(model, [Wanted(PROMPTS[1], sample) for sample in range(2000)], how)
    with torch.inference_mode():
        logits = model._loaded.model(torch.tensor([model._sampler(how).tokens(PROMPTS[1])])).logits[0, -1]
    shares = (logits.double() / 1.5).softmax(-1)
    counts = Counter(one.ids[0] for one in drawn if one.ids)
    often = [token for token in range(len(shares)) if float(shares[token]) * 2000 >= 5]
    seen = [counts[token] for token in often] + [2000 - sum(counts[token] for token in often)]
    wanted = [float(shares[token]) * 2000 for token in often] + [2000 - sum(float(shares[token]) * 2000 for token in often)]
    assert len(often) > 3
    assert chisquare(seen, wanted).pvalue > 1e-6
    # and the log-probability is the model's own, at temperature 1
    token = drawn[0].ids[0]
    assert drawn[0].logprob == pytest.approx(float(logits.float().log_softmax(-1)[token]), abs=1e-4)


def test_another_model_reads_what_was_said(tiny: Callable[[int], Path], tmp_path: Path) -> None:
    """A model reads its own replies with the probability it gave them; another one with the one that its forward pass gives."""
    model, other = local(tiny(0)), local(tiny(1), batch_size=2)
    wanted = [Wanted(prompt, sample) for prompt in PROMPTS for sample in range(2)]
    said = replies(model, wanted, How(max_new_tokens=5, temperature=1.0))
    given = [(one.prompt, reply) for one, reply in zip(wanted, said, strict=True)]
    told: list[int] = []
    own = reference_logprobs(model, given, folder=tmp_path, stop=StopRequest(), tell=told.append)
    assert own == pytest.approx([reply.logprob for reply in said], abs=1e-4)
    assert sum(told) == len(given)
    found = reference_logprobs(other, given, folder=tmp_path, stop=StopRequest(), tell=told.append)
    for (prompt, reply), value in zip(given, found, strict=True):
        ids = other._sampler(How(1)).tokens(prompt)
        assert reply.ids
        with torch.inference_mode():
            shares = other._loaded.model(torch.tensor([[*ids, *reply.ids]])).logits[0].float().log_softmax(-1)
        expected = sum(float(shares[len(ids) - 1 + at, token]) for at, token in enumerate(reply.ids))
        assert value == pytest.approx(expected, abs=1e-4)
    assert found != own
    unloaded = local(tiny(1))
    assert reference_logprobs(unloaded, given, folder=tmp_path, stop=StopRequest(), tell=told.append) == found
    assert "_loaded" not in unloaded.__dict__  # all of it was kept


def several_ends(folder: Path, into: Path) -> Path:
    """The same model as many chat models are: two tokens may end an answer, the turn's is not the lowest, and a line's end
    follows it in the template.
    """
    shutil.copytree(folder, into)
    tokenizer = AutoTokenizer.from_pretrained(into)
    assert tokenizer.pad_token_id < tokenizer.eos_token_id
    tokenizer.chat_template = tokenizer.chat_template.replace("{{ eos_token }}", "{{ eos_token + '\\n' }}")
    tokenizer.save_pretrained(into)
    ends = {"eos_token_id": [tokenizer.eos_token_id, tokenizer.pad_token_id], "pad_token_id": tokenizer.pad_token_id}
    (into / "generation_config.json").write_text(json.dumps(ends))
    return into


def test_a_given_answer_is_read_as_training_writes_it_and_up_to_its_own_end(tiny: Callable[[int], Path], tmp_path: Path) -> None:
    sampler = local(several_ends(tiny(0), tmp_path / "model"))._sampler(How(1))
    tokenizer = sampler._tokenizer
    turns = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Ada."}]
    whole = tokenizer.apply_chat_template(turns, tokenize=False).removesuffix("\n")
    assert whole.endswith("Ada.<|end|>")
    prompt, answer = sampler.read("Where?", "Ada.")
    assert prompt + answer == tokenizer(whole, add_special_tokens=False)["input_ids"]
    assert prompt == sampler.tokens("Where?")
    assert sampler.read("Where?", "Ada.", ended=False) == (prompt, answer[:-1])


def test_a_plain_answer_is_set_off_from_its_prompt_by_a_space(tiny: Callable[[int], Path]) -> None:
    model = LocalModel(str(tiny(0)), hardware=HardwareSpec(threads=1), prompt_format="plain", batch_size=1)
    sampler = model._sampler(How(1))
    prompt, answer = sampler.read("Where?", "Ada.")
    assert sampler._tokenizer.decode(prompt + answer) == "Where? Ada.<|end|>"
    assert sampler._tokenizer.decode(answer) == " Ada.<|end|>"


def test_tokens_that_spell_the_answer_are_read_as_they_are_and_those_of_another_tokenizer_not(
    tiny: Callable[[int], Path],
) -> None:
    sampler = local(tiny(0))._sampler(How(1))
    prompt, spelt = sampler.read("Where?", "Ada.")
    letters = [token for letter in "Ada." for token in sampler._tokenizer(letter)["input_ids"]]
    assert sampler.read("Where?", "Ada.", letters) == (prompt, letters) != (prompt, spelt)
    assert sampler.read("Where?", "Ada.", [999]) == (prompt, spelt)
    assert sampler.read("Where?", "Ada.", sampler.read("Where?", "Bo.")[1]) == (prompt, spelt)


def test_what_does_not_fit_into_memory_is_asked_in_smaller_batches(
    tiny: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.sampling import Sampler

    whole, sizes = Sampler.answer, []

    def small_memory(self, prompts, **more):
        sizes.append(len(prompts))
        if len(prompts) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return whole(self, prompts, **more)

    wanted, how = [Wanted(PROMPTS[0], sample) for sample in range(7)], How(3, 1.0)
    expected = replies(local(tiny(0)), wanted, how)
    monkeypatch.setattr(Sampler, "answer", small_memory)
    assert [one.ids for one in replies(local(tiny(0)), wanted, how)] == [one.ids for one in expected]
    assert sizes == [7, 3, 3, 1]


def test_a_batch_holds_prompts_that_are_alike_in_length(tiny: Callable[[int], Path]) -> None:
    lengths = [100] * 10 + [50] * 30 + [10] * 100
    batches: list[list[int]] = []
    local(tiny(0), batch_size=64)._in_batches(lengths, lambda batch: batches.append(list(batch)), StopRequest())
    assert sorted(index for batch in batches for index in batch) == list(range(140))
    padded = [len(batch) * max(lengths[i] for i in batch) / sum(lengths[i] for i in batch) for batch in batches]
    assert all(len(batch) <= 16 or share <= 1.2 for batch, share in zip(batches, padded, strict=True))
    assert len(batches) < 6


def test_what_is_longer_than_the_model_reads_is_not_asked_and_shortens_no_other_answer(
    tiny: Callable[[int], Path], tmp_path: Path
) -> None:
    model, how = local(tiny(0)), How(max_new_tokens=20)
    sampler = model._sampler(how)
    longest = sampler.longest
    assert longest == 256
    long: list[Prompt] = [
        next(text for n in range(999) if len(sampler.tokens(text := "q" * n)) == longest - room) for room in (0, 3)
    ]
    found = replies(model, [Wanted(prompt) for prompt in [*long, *PROMPTS]], how)
    assert [one.ending for one in found[:2]] == ["rejected", "length"]
    assert "256 tokens, and the model reads 256 at most" in found[0].reason and found[0].logprob is None
    assert found[1].tokens == 3
    assert found[2:] == replies(local(tiny(0)), [Wanted(prompt) for prompt in PROMPTS], how)
    given = [(long[0], Reply("Ada.")), (PROMPTS[0], Reply("Ada."))]
    read = reference_logprobs(model, given, folder=tmp_path, stop=StopRequest(), tell=lambda number: None)
    assert read[0] is None and read[1] is not None
    assert reference_logprobs(model, given, folder=tmp_path, stop=StopRequest(), tell=lambda number: None) == read


def test_asked_to_stop_it_keeps_what_it_has(tiny: Callable[[int], Path]) -> None:
    stop, kept = StopRequest(), []

    def keep(some):
        kept.extend(some)
        stop.asked = True

    with pytest.raises(Stopped):
        local(tiny(0), batch_size=2).reply([Wanted("Where?", n) for n in range(5)], How(2, 1.0), keep=keep, stop=stop)
    assert len(kept) == 2
    assert all(math.isfinite(reply.logprob) for _, reply in kept)
