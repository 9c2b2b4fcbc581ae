from __future__ import annotations

from fairlead.gateway.tokens import EstimatingCounter


def test_families_differ_as_they_were_measured() -> None:
    counter = EstimatingCounter()
    text = "The harbour woke before the sun did, and nobody was late. " * 50
    gpt = counter.count(text, tokenizer="GPT")
    assert counter.count(text, tokenizer="Claude") > gpt > counter.count(text, tokenizer="Grok")
    assert counter.count(text, tokenizer="a family nobody measured") == gpt


def test_nothing_is_nothing_and_anything_is_at_least_one() -> None:
    counter = EstimatingCounter()
    assert counter.count("", tokenizer="Claude") == 0
    assert counter.count(".", tokenizer="Grok") == 1
