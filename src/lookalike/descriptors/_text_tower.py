"""Text models beside image models, as Hugging Face exports them to ONNX."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.descriptors._runtime import Network
from lookalike.errors import ModelError

_OUTPUTS = ("text_embeds", "pooler_output", "sentence_embedding")
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_DEFAULT_TOKENS = 77
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class TextTower:
    """A text model and its tokenizer."""

    def __init__(self, weights: Path, folder: Path, device: str) -> None:
        """Loads a text model.

        Args:
            weights: its ONNX file.
            folder: folder with `tokenizer.json` and its settings.
            device: where it runs.

        Raises:
            ModelError: a file cannot be loaded, or the model wants more than tokens.
        """
        self.network = Network(weights, _OUTPUTS, device)
        unknown = [name for name in self.network.inputs if name not in _INPUTS]
        if unknown or "input_ids" not in self.network.inputs:
            raise ModelError(
                f"The text model {weights} has the inputs {', '.join(self.network.inputs)}: it may "
                f"have {', '.join(_INPUTS)} alone, so export the text model by itself."
            )
        settings = _settings(folder)
        kinds = [settings.get(key) for key in ("model_type", "architectures", "tokenizer_class")]
        self._is_siglip = "siglip" in str(kinds).lower()
        self._keeps_punctuation = "Gemma" in str(settings.get("tokenizer_class", ""))
        try:
            self._tokenizer = _tokenizer(folder, settings, self._fixed_length(), self._is_siglip)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelError(
                f"The settings of the tokenizer in {folder} cannot be used: {error}."
            ) from error

    def describe(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, size): the vectors of texts, each of length 1."""
        encodings = self._tokenizer.encode_batch([self._cleaned(text) for text in texts])
        made = {
            "input_ids": [one.ids for one in encodings],
            "attention_mask": [one.attention_mask for one in encodings],
            "token_type_ids": [one.type_ids for one in encodings],
        }
        return self.network.vectors({name: np.array(made[name]) for name in self.network.inputs})

    def is_cut(self, text: str) -> bool:
        """True if a text is longer than the model reads."""
        return bool(self._tokenizer.encode(self._cleaned(text)).overflowing)

    def _cleaned(self, text: str) -> str:
        """SigLIP was trained on lower case, and its first version without punctuation, neither of
        which its `tokenizer.json` knows."""
        if not self._is_siglip:
            return text
        text = text.lower() if self._keeps_punctuation else text.lower().translate(_PUNCTUATION)
        return re.sub(r"\s+", " ", text).strip()

    def _fixed_length(self) -> int | None:
        """The number of tokens that the network takes, if it takes one number alone."""
        shape = self.network.inputs["input_ids"]
        return shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None


def _settings(folder: Path) -> dict[str, Any]:
    """The settings of a text model and its tokenizer; the latter's win."""
    settings: dict[str, Any] = {}
    for name in ("config.json", "special_tokens_map.json", "tokenizer_config.json"):
        file = folder / name
        try:
            if file.exists():
                settings |= json.loads(file.read_text("utf-8"))
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(f"The settings in {file} cannot be read: {error}.") from error
    return settings


def _tokenizer(
    folder: Path, settings: dict[str, Any], fixed_length: int | None, is_siglip: bool
) -> Any:
    """A tokenizer that cuts and pads texts as the model wants.

    SigLIP takes its vector from the last token, so that all texts must have one length.
    """
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare exceptions
        raise ModelError(f"The tokenizer {file} cannot be loaded: {error}.") from error
    padding = tokenizer.padding or {}
    length = fixed_length or _most_tokens(settings, tokenizer, is_siglip)
    is_fixed = bool(fixed_length or is_siglip or padding.get("length"))
    tokenizer.enable_truncation(length, direction=settings.get("truncation_side", "right"))
    token = padding.get("pad_token") or _content(settings.get("pad_token")) or "[PAD]"
    id = padding.get("pad_id", settings.get("pad_token_id"))
    if id is None:
        id = tokenizer.token_to_id(token)
    tokenizer.enable_padding(
        direction=settings.get("padding_side") or padding.get("direction", "right"),
        pad_id=id or 0,
        pad_token=token,
        length=length if is_fixed else None,
    )
    return tokenizer


def _most_tokens(settings: dict[str, Any], tokenizer: Any, is_siglip: bool) -> int:
    """The number of tokens beyond which a text is cut."""
    if is_siglip:
        return int((settings.get("text_config") or {}).get("max_position_embeddings", 64))
    said = [settings.get("model_max_length"), settings.get("max_length")]
    said.append((tokenizer.truncation or {}).get("max_length"))
    return min(
        (one for one in said if isinstance(one, int) and 0 < one < 100_000), default=_DEFAULT_TOKENS
    )


def _content(token: Any) -> str | None:
    """The text of a special token, which files give by itself or with its properties."""
    return token.get("content") if isinstance(token, dict) else token
