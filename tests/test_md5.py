import hashlib

import numpy as np
import pytest

from a2v_core import md5


@pytest.mark.parametrize("count", [0, 1, 700, md5._CHUNK + 5], ids=["none", "one by one", "arrays", "two chunks"])
@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 66, 119, 120, 226])
def test_digests_are_those_of_hashlib(count, length):
    texts = np.random.default_rng(length).integers(0, 256, (count, length), dtype=np.uint8)
    digests = md5.md5_rows(texts)
    assert digests.shape == (count, 16)
    for row in range(0, count, max(1, count // 50)):
        assert digests[row].tobytes() == hashlib.md5(texts[row].tobytes()).digest()
