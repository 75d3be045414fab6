from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from autosurrogate.errors import OptionError
from autosurrogate.tasks import _vocabulary

FILLERS = [f"word{i}" for i in range(20)]
TEXT = ["the cat sat on the mat and the cats sat on mats", "a naïve café, 3 café tables; naïvely wide"] * 3


def listed(path: Path, *tokens: str) -> Path:
    path.write_text("\n".join([*tokens, *FILLERS]) + "\n", encoding="utf-8")
    return path


def trained(path: Path, tokenizer: Tokenizer, trainer: trainers.Trainer) -> Path:
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.save(str(path))
    return path


def byte_level(path: Path) -> Path:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trained(
        path, tokenizer, trainers.BpeTrainer(vocab_size=320, special_tokens=["<pad>"], initial_alphabet=alphabet)
    )


def word_piece(path: Path) -> Path:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    return trained(path, tokenizer, trainers.WordPieceTrainer(vocab_size=60, special_tokens=["[UNK]", "[PAD]"]))


def unigram(path: Path) -> Path:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return trained(
        path, tokenizer, trainers.UnigramTrainer(vocab_size=80, special_tokens=["<unk>", "[PAD]"], unk_token="<unk>")
    )


@pytest.mark.parametrize(
    ("tokens", "ids", "text", "spellings"),
    [
        (["cat", "sat"], [0, 1], "cat sat", [" cat", " sat"]),
        (["▁cat", "s", "▁sat"], [0, 1, 2], "cats sat", [" cat", "s", " sat"]),
        (["Ġcat", "s", "Ġsat"], [0, 1, 2], "cats sat", [" cat", "s", " sat"]),
        (["cat", "##s", "sat"], [0, 1, 2], "cats sat", [" cat", "s", " sat"]),
        (["ca@@", "ts", "sat"], [0, 1, 2], "cats sat", [" ca", " ts", " sat"]),
    ],
)
def test_a_list_is_joined_as_its_marks_say(
    tmp_path: Path, tokens: list[str], ids: list[int], text: str, spellings: list[str]
) -> None:
    found = _vocabulary.read(listed(tmp_path / "vocab.txt", *tokens))
    assert found.text(ids) == text
    assert list(found.spellings[: len(tokens)]) == spellings
    assert len(found) == len(tokens) + len(FILLERS)


def test_a_list_is_cut_where_lines_end_and_nowhere_else(tmp_path: Path) -> None:
    tokens = ["a\u2028", "\x0c", "b\x85c", "", "d"]
    (tmp_path / "unix.txt").write_bytes("\n".join([*tokens, *FILLERS]).encode())
    (tmp_path / "dos.txt").write_bytes("".join(f"{token}\r\n" for token in [*tokens, *FILLERS]).encode())
    for name in ("unix.txt", "dos.txt"):
        found = _vocabulary.read(tmp_path / name)
        assert found.spellings[4] == " d"
        assert len(found) == len(tokens) + len(FILLERS)


def test_ids_that_a_tokenizer_leaves_out_spell_nothing(tmp_path: Path) -> None:
    ids = {token: i for i, token in enumerate(["[UNK]", *FILLERS])} | {"last": 40}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    found = _vocabulary.read(tmp_path / "tokenizer.json")
    assert len(found) == 41
    assert 40 in found.spelled
    assert not set(range(len(FILLERS) + 1, 40)) & set(found.spelled)


def test_counts_of_n_grams_do_not_wrap(tmp_path: Path) -> None:
    found = _vocabulary.read(listed(tmp_path / "vocab.txt", "a" * 300))
    assert found.grams[0].max() == 255


@pytest.mark.parametrize("make", [byte_level, word_piece, unigram])
def test_a_tokenizer_s_tokens_are_spelled_as_it_decodes_them(tmp_path: Path, make: object) -> None:
    path = make(tmp_path / "tokenizer.json")  # type: ignore[operator]
    found, tokenizer = _vocabulary.read(path), Tokenizer.from_file(str(path))
    assert len(found) == tokenizer.get_vocab_size()
    for line in TEXT:
        ids = tokenizer.encode(line).ids
        assert found.text(ids) == tokenizer.decode(ids)
        if "café" not in line:  # whose letters are of several tokens, at the level of bytes
            assert "".join(found.spellings[i] for i in ids).strip() == tokenizer.decode(ids)
    special = tokenizer.token_to_id("<pad>") if make is byte_level else tokenizer.token_to_id("[PAD]")
    assert special not in found.spelled


def test_the_n_grams_of_a_token_are_counted(tmp_path: Path) -> None:
    found = _vocabulary.read(listed(tmp_path / "vocab.txt", "cat", "cats", "dog", "", "banana"))
    counts = found.grams.astype(int)
    by_order = np.split(counts, np.cumsum(_vocabulary.BINS)[:-1], axis=1)
    assert [part[4].sum() for part in by_order] == [6, 5, 4]  # banana
    assert by_order[0][4].max() == 3  # its a
    assert counts[3].sum() == 0
    assert 3 not in found.spelled
    common = [np.minimum(counts[0], counts[i]).sum() for i in (1, 2)]
    assert common[0] == 3 + 2 + 1
    assert common[1] < common[0]


def test_what_cannot_be_used_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match=r"--tokenizer .*bytes\.txt: cannot be read: "):
        _vocabulary.read(tmp_path / "bytes.txt")
    with pytest.raises(OptionError, match=r"--tokenizer .*: cannot be read: Is a directory"):
        _vocabulary.read(tmp_path)
    path = word_piece(tmp_path / "tokenizer.json")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(OptionError, match=r"needs the package tokenizers: pip install 'autosurrogate\[tokenizers\]'"):
        _vocabulary.read(path)
