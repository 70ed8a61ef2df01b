"""Random bits in blocks: as many as asked for, each handed out once, a new block where one runs out."""

from daemon.core.ids import ENTROPY_BITS
from daemon.service import entropy
from daemon.service.entropy import Entropy


def test_every_bit_of_a_block_is_handed_out_once_and_in_order(monkeypatch):
    blocks = [bytes(range(20)), bytes(range(100, 120))]
    monkeypatch.setattr(entropy, "BLOCK", 20)
    monkeypatch.setattr(entropy.os, "urandom", lambda size: blocks.pop(0)[:size])
    drawn = Entropy()

    assert [drawn.bits(64), drawn.bits(64)] == [
        int.from_bytes(bytes(range(8)), "big"),
        int.from_bytes(bytes(range(8, 16)), "big"),
    ]
    assert drawn.bits(64) == int.from_bytes(bytes(range(100, 108)), "big"), "what is left of a block is thrown away"


def test_it_hands_out_as_many_bits_as_are_asked_for_and_all_of_them_vary():
    drawn = Entropy()
    numbers = [drawn.bits(ENTROPY_BITS) for _ in range(2000)]

    assert len(set(numbers)) == 2000
    seen_one = seen_zero = 0
    for number in numbers:
        assert number < 1 << ENTROPY_BITS
        seen_one |= number
        seen_zero |= ~number
    whole = (1 << ENTROPY_BITS) - 1
    assert (seen_one, seen_zero & whole) == (whole, whole)
