"""Published data depend on these values: none may ever change."""

import subprocess
import sys
from pathlib import Path

import torch

from avsynth.core.hashing import draw, file_digest, generator, order_key, tensor_digest


def test_choices_have_the_values_they_always_had():
    assert draw(0, "triplet", "lvis", "12", "dog") == 12_418_511_614_141_598_920
    assert generator(7, "scene", 3).integers(1 << 30, size=3).tolist() == [
        1021958986,
        183866818,
        275769777,
    ]
    assert order_key("dog-0123456789").hex().startswith("b362bbc889563800")
    assert order_key(0, "dog", "abc") == order_key("0/dog/abc")


def test_every_part_counts():
    assert len({draw(0, "a"), draw(1, "a"), draw(0, "b"), draw(0, "a", ""), draw(0, "", "a")}) == 5


def test_a_digest_is_of_the_bytes(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


def test_a_tensor_digest_is_of_names_and_bytes_in_order():
    one, two = torch.arange(6.0).reshape(2, 3), torch.ones(2, dtype=torch.bfloat16)
    named = [("one", one), ("two", two)]
    assert tensor_digest(named) == tensor_digest([("one", one.T.contiguous().T), ("two", two)])
    others = (
        [("one", one + 1), ("two", two)],
        [("1", one), ("two", two)],
        named[::-1],
        named[:1],
    )
    assert tensor_digest(named) not in {tensor_digest(other) for other in others}


def test_hashing_loads_no_torch():
    program = "import sys, avsynth.core.hashing; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
