"""The renderer of Hugging Face checkpoints, on the microworld's own and on a tiny byte-level one with a ChatML template."""

import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from evenkeel.engines.chat_template import TemplateRenderer
from evenkeel.microworld.bases import base_folder
from evenkeel.microworld.tokenizer import read_renderer
from evenkeel.records.errors import UserError
from evenkeel.records.types import Completion, Message

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if no_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
TALK = (Message("system", "Be brief."), Message("user", "Wie geht's? 🙂"))


def byte_tokenizer(template: str) -> PreTrainedTokenizerFast:
    """A tokenizer of single bytes."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE({letter: n for n, letter in enumerate(letters)}, []))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|endoftext|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture
def folder(tmp_path):
    tokenizer = byte_tokenizer(CHATML)
    tokenizer.save_pretrained(tmp_path)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    (tmp_path / "generation_config.json").write_text(
        json.dumps({"eos_token_id": [end, tokenizer.eos_token_id]})
    )
    return tmp_path


def completed(renderer, text, *, ended=True) -> Completion:
    tokens = renderer.completion(text)
    return Completion("r", 0, tokens if ended else tokens[:-1], (), "stop" if ended else "length")


def test_a_prompt_is_what_the_template_writes(folder):
    renderer = TemplateRenderer.from_pretrained(folder)
    text = renderer.tokenizer.decode(renderer.prompt(TALK))
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWie geht's? 🙂<|im_end|>\n<|im_start|>assistant\n"
    )


def test_prompt_and_completion_join_to_the_whole_conversation(folder):
    renderer = TemplateRenderer.from_pretrained(folder)
    whole = renderer._tokens((*TALK, Message("assistant", "Gut.")), opening=False)
    joined = renderer.prompt(TALK) + renderer.completion("Gut.")
    assert whole[: len(joined)] == joined


@pytest.mark.parametrize("text", ["fine", "Zürich — 🙂\n\ttab", "<b>no code</b>"])
def test_a_reply_comes_back_as_it_was(folder, text):
    renderer = TemplateRenderer.from_pretrained(folder)
    reply = renderer.reply(completed(renderer, text))
    assert (reply.text, reply.answer, reply.reasoning, reply.finish) == (text, text, "", "stop")
    assert renderer.reply(completed(renderer, text, ended=False)).finish == "length"


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>\nhm\n</think>\n\nyes", "hm", "yes"), ("hm</think> yes", "hm", "yes"), ("<think> hm", "hm", ""),
        ("yes", "", "yes"),
    ],
)  # fmt: skip
def test_reasoning_is_split_from_the_answer(folder, text, reasoning, answer):
    renderer = TemplateRenderer.from_pretrained(folder)
    reply = renderer.reply(completed(renderer, text))
    assert (reply.reasoning, reply.answer) == (reasoning, answer)


def test_options_reach_the_template(folder):
    plain, changed = (
        TemplateRenderer.from_pretrained(folder, options=options) for options in (None, {"no_thinking": True})
    )
    assert changed.prompt(TALK)[: len(plain.prompt(TALK))] == plain.prompt(TALK)
    assert changed.tokenizer.decode(changed.prompt(TALK)).endswith("<think>\n\n</think>\n\n")


def test_every_stop_token_ends_a_reply(folder):
    renderer = TemplateRenderer.from_pretrained(folder)
    assert len(renderer.stop_tokens) == 2
    for stop in renderer.stop_tokens:
        tokens = (*renderer.tokenizer.encode("ok"), stop)
        assert renderer.reply(Completion("r", 0, tokens, (), "stop")).text == "ok"


def test_the_microworlds_checkpoints_are_rendered_alike():
    folder = base_folder("world-0")
    ours, theirs = read_renderer(folder), TemplateRenderer.from_pretrained(folder)
    talk = (Message("user", "what do you think of me and the wound"),)
    assert theirs.prompt(talk) == ours.prompt(talk)
    assert theirs.completion("i would go home .") == ours.completion("i would go home .")
    assert theirs.stop_tokens == ours.stop_tokens


def test_what_is_missing_is_named(tmp_path, folder):
    with pytest.raises(UserError, match="no tokenizer"):
        TemplateRenderer.from_pretrained(tmp_path / "nowhere")
    tokenizer = byte_tokenizer(CHATML)
    with pytest.raises(UserError, match="none of the stop tokens"):
        TemplateRenderer(tokenizer, stop_tokens=[tokenizer.eos_token_id])
    rewriting = byte_tokenizer("{{ messages | length }}" + CHATML)
    with pytest.raises(UserError, match="rewrites earlier turns"):
        TemplateRenderer(rewriting, stop_tokens=[0])
    bare = byte_tokenizer(CHATML)
    bare.chat_template = None
    bare.save_pretrained(tmp_path / "bare")
    with pytest.raises(UserError, match="without a chat template"):
        TemplateRenderer.from_pretrained(tmp_path / "bare")
