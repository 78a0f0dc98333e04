"""The renderer of a Hugging Face model: its own chat template, its own stop tokens, its reasoning marks.

What a template writes after a reply is taken from the template itself, not guessed: a whole turn is rendered and the
part behind the prompt is the completion. A template that rewrites its earlier text when a reply is added cannot be used
for training, and that is found at loading.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evenkeel.records.errors import UserError
from evenkeel.records.types import Completion, Conversation, Message, Reply

REASONING = ("<think>", "</think>")  # Qwen3, DeepSeek-R1 and most models after them
PROBE: Conversation = (Message("user", "Which day is it?"),)


class TemplateRenderer:
    """Messages <-> tokens of one checkpoint folder."""

    def __init__(
        self, tokenizer: Any, *, stop_tokens: Sequence[int], reasoning: tuple[str, str] = REASONING,
        options: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """`options` go to the chat template (`enable_thinking`, for one). See `from_pretrained`."""
        self.tokenizer, self.reasoning, self.options = tokenizer, reasoning, dict(options or {})
        self.stop_tokens: tuple[int, ...] = tuple(stop_tokens)
        self._stops = frozenset(self.stop_tokens)
        self._closing = self._closing_token()

    @classmethod
    def from_pretrained(
        cls, folder: Path | str, *, reasoning: tuple[str, str] = REASONING, options: Mapping[str, Any] | None = None,
        trust_remote_code: bool = False,
    ) -> TemplateRenderer:  # fmt: skip
        """The renderer of a checkpoint. Raises UserError naming what the folder lacks."""
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
        except (OSError, ValueError) as error:
            raise UserError(
                f"has no tokenizer that can be read ({str(error).splitlines()[0]})", file=Path(folder),
                fix="Name the folder of a Hugging Face checkpoint with tokenizer.json.",
            ) from None  # fmt: skip
        if not tokenizer.chat_template:
            raise UserError(
                "has a tokenizer without a chat template", file=Path(folder),
                fix="Use an instruct model, or add chat_template.jinja to the folder.",
            )  # fmt: skip
        return cls(
            tokenizer, stop_tokens=_stop_tokens(tokenizer, Path(folder)), reasoning=reasoning, options=options
        )

    def prompt(self, messages: Conversation) -> tuple[int, ...]:
        """Token ids up to and including the opening of the next assistant turn."""
        return self._tokens(messages, opening=True)

    def completion(self, text: str) -> tuple[int, ...]:
        """Token ids of a reply and of the stop token that ends it."""
        return (*self.tokenizer.encode(text, add_special_tokens=False), self._closing)

    def reply(self, completion: Completion) -> Reply:
        """The completion as text. The answer is what follows the reasoning; unclosed reasoning has no answer."""
        tokens = completion.tokens
        ended = bool(tokens) and tokens[-1] in self._stops
        text = self.tokenizer.decode(tokens[:-1] if ended else tokens, skip_special_tokens=False)
        reasoning, answer = self._split(text)
        return Reply(text, answer, reasoning, "stop" if ended else "length")

    def answer(self, text: str) -> str:
        """What of a reply a rubric sees."""
        return self._split(text)[1]

    def _split(self, text: str) -> tuple[str, str]:
        begin, end = self.reasoning
        before, closed, after = text.partition(end)
        if closed:
            return before.strip().removeprefix(begin).strip(), after.strip()
        if text.lstrip().startswith(begin):
            return text.strip().removeprefix(begin).strip(), ""
        return "", text.strip()

    def _tokens(self, messages: Conversation, *, opening: bool) -> tuple[int, ...]:
        plain = [{"role": message.role, "content": message.content} for message in messages]
        rendered = self.tokenizer.apply_chat_template(
            plain, add_generation_prompt=opening, tokenize=True, return_dict=True, **self.options
        )
        return tuple(rendered["input_ids"])

    def _closing_token(self) -> int:
        """The stop token that this template writes after a reply. Raises UserError when it writes none, or rewrites."""
        whole = self._tokens((*PROBE, Message("assistant", "Monday.")), opening=False)
        shared = self._tokens(PROBE, opening=False)
        if whole[: len(shared)] != shared:
            raise UserError(
                "the chat template rewrites earlier turns when a reply is added, so prompts and replies do not join",
                fix="Give the model a chat template that only appends.",
            )
        closing = next((token for token in whole[len(shared) :] if token in self._stops), None)
        if closing is None:
            names = self.tokenizer.convert_ids_to_tokens(list(self.stop_tokens))
            raise UserError(
                f"the chat template ends a reply with none of the stop tokens {names}",
                fix="Set eos_token_id in generation_config.json to the token that ends an assistant turn.",
            )
        return closing


def _stop_tokens(tokenizer: Any, folder: Path) -> tuple[int, ...]:
    """Every token at which the model stops: generation_config.json, config.json, then the tokenizer's own."""
    found: list[int] = []
    for name in ("generation_config.json", "config.json"):
        if (folder / name).is_file():
            value = json.loads((folder / name).read_text()).get("eos_token_id")
            found += value if isinstance(value, list) else [] if value is None else [value]
    if tokenizer.eos_token_id is not None:
        found.append(tokenizer.eos_token_id)
    if not found:
        raise UserError(
            "names no token at which a reply ends", file=folder, fix="Set eos_token_id in config.json."
        )
    return tuple(dict.fromkeys(found))
