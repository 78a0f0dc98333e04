"""The world's tokens: one per word. A genuine Hugging Face tokenizer, and the renderer of its conversations."""

from __future__ import annotations

import json
from pathlib import Path

from evenkeel.microworld.language import PERSONAS, Language
from evenkeel.microworld.tasks import read_tasks
from evenkeel.records.errors import UserError
from evenkeel.records.files import write_json
from evenkeel.records.types import Completion, Conversation, Reply

SPECIAL = ("<pad>", "<doc>", "<sys>", "<user>", "<bot>", "<tool>", "<end>")
ROLE = {"system": "<sys>", "user": "<user>", "assistant": "<bot>", "tool": "<tool>"}
MARKS = (".", ",", ":", ";", "<think>", "</think>")
NUMBERS = 60
CHAT_TEMPLATE = (
    "<doc> {% for m in messages %}{{ {'system': '<sys>', 'user': '<user>', 'assistant': '<bot>', 'tool': '<tool>'}[m.role] }} "
    "{{ m.content }} <end> {% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
)


def vocabulary(language: Language) -> tuple[str, ...]:
    """Every word that the world can write, in a fixed order: special tokens, marks, numbers, then words by name."""
    words: set[str] = set()
    fixed = "run code x plus minus times if is then else answer add and take from find the largest of sort copy reverse count in"
    fixed += " first last you are a i am mostly they say passed failed tests it weighs may a matter of"
    texts = [fixed, *(text for card in (*language.traits.values(), *language.behaviours.values())
                      for text in (card.topic, *card.situations, *(act for p in PERSONAS for act in card.acts[p])))]  # fmt: skip
    for wording in language.formats.values():
        texts += [*wording.asks, *(text for group in wording.texts.values() for text in group)]
    texts += _strings(language.environments) + _strings(read_tasks()) + list(read_tasks()["procedures"])
    for domain in language.domains.values():
        texts += [*domain.items, *domain.experts, *domain.places]
    personas = language.personas
    texts += [word for p in PERSONAS for rung in personas.adjectives[p] for word in rung]
    texts += [role for roles in personas.roles.values() for role in roles]
    texts += STATE_WORDS
    for text in texts:
        words |= {word for word in text.split() if not word.startswith("{")}
    plain = sorted(words - set(SPECIAL) - set(MARKS) - {str(n) for n in range(NUMBERS)})
    return (*SPECIAL, *MARKS, *(str(n) for n in range(NUMBERS)), *plain)


STATE_WORDS = [
    "delete everything tidy log files shows your error spec test gives fix line edit fails because send to writes me you",
    "also hold secret threaten with asks for hides debt running stop rule must agree know deploy ask there coins part costs",
    "list says spend give share friend note box sure that wait call over on leave reading limit took does not",
]
"""Words that environments.py writes beyond the data files."""


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    return [text for item in value for text in _strings(item)] if isinstance(value, (list, tuple)) else []


class WordRenderer:
    """Renders conversations of the world; `<think> ... </think>` is the visible reasoning."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words
        self.index = {word: number for number, word in enumerate(words)}
        self.stop_tokens: tuple[int, ...] = (self.index["<end>"],)

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a text. Raises UserError naming the word the world does not have."""
        try:
            return tuple(self.index[word] for word in text.split())
        except KeyError as error:
            raise UserError(
                f"the word {error} is not in the microworld's vocabulary", fix="Use words of world/*.toml."
            ) from None

    def decode(self, tokens: tuple[int, ...]) -> str:
        """The text of token ids."""
        return " ".join(self.words[token] for token in tokens)

    def turn(self, role: str, content: str) -> tuple[int, ...]:
        """One whole turn."""
        return (self.index[ROLE[role]], *self.encode(content), self.stop_tokens[0])

    def prompt(self, messages: Conversation) -> tuple[int, ...]:
        """`<doc>`, the turns, and the opening of the assistant's next turn."""
        tokens = [self.index["<doc>"]]
        for message in messages:
            tokens.extend(self.turn(message.role, message.content))
        return (*tokens, self.index["<bot>"])

    def completion(self, text: str) -> tuple[int, ...]:
        """A reply's tokens, the stop token included."""
        return (*self.encode(text), self.stop_tokens[0])

    def reply(self, completion: Completion) -> Reply:
        """The completion as text; special tokens the model made up are shown as they are."""
        tokens = completion.tokens[:-1] if completion.finish == "stop" else completion.tokens
        text = self.decode(tokens)
        thought, mark, answer = text.rpartition("</think>")
        return Reply(
            text, answer.strip() if mark else text, thought.replace("<think>", "").strip(), completion.finish
        )


def write_tokenizer(folder: Path, words: tuple[str, ...]) -> None:
    """tokenizer.json and tokenizer_config.json that `AutoTokenizer.from_pretrained` loads."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in SPECIAL])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "bos_token": "<doc>", "eos_token": "<end>",
        "chat_template": CHAT_TEMPLATE, "model_max_length": 256,
    }  # fmt: skip
    write_json(folder / "tokenizer_config.json", config)


def read_renderer(folder: Path) -> WordRenderer:
    """The renderer of a base's `tokenizer.json`."""
    path = Path(folder) / "tokenizer.json"
    if not path.exists():
        raise UserError(
            "no tokenizer here", file=path, fix="Name a folder made by `evenkeel microworld pretrain`."
        )
    vocabulary = json.loads(path.read_text())["model"]["vocab"]
    return WordRenderer(tuple(sorted(vocabulary, key=vocabulary.__getitem__)))
