"""The table of encodings: what a shard's bytes, the planner and the checks of files read off it."""

from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from models.config import Variable
from simulators.contract import loading
from workflow.dataset.codec import ENCODINGS, EncodingName, decode, encode

EXAMPLES: dict[str, NDArray[Any]] = {
    "bits": np.array([[-1, 1, 1], [1, 1, -1], [-1, -1, 1]], dtype=np.int8),
    "int8": np.array([[-1, 0, 1], [5, -128, 127], [2, 3, 4]], dtype=np.int8),
    "float32": np.array([[0.1, -2.5, np.pi], [1e30, 0, -0.0], [1, 2, 3]], dtype=np.float32),
}


def test_the_table_names_what_systems_may_say_and_files_may_hold() -> None:
    assert set(ENCODINGS) == set(loading.ENCODINGS) == set(get_args(EncodingName))


def test_every_variable_has_an_encoding() -> None:
    assert {variable for encoding in ENCODINGS.values() for variable in encoding.variables} == set(get_args(Variable))


@pytest.mark.parametrize("name", ENCODINGS)
def test_sizes_of_the_table_are_those_of_the_bytes(name: str) -> None:
    example_SCHW = EXAMPLES[name][None, None]
    packed_SB = encode(example_SCHW, name)
    decoded_SCHW = decode(packed_SB, name, (1, 3, 3))
    np.testing.assert_array_equal(decoded_SCHW, example_SCHW)
    assert packed_SB.shape == (1, ENCODINGS[name].stored_bytes(9))
    assert decoded_SCHW.itemsize == ENCODINGS[name].decoded_bytes


@pytest.mark.parametrize(
    ("name", "content"), [("bits", b"\x78\x80"), ("int8", bytes([255, 0, 1, 5, 128, 127, 2, 3, 4]))]
)
def test_bytes_of_the_format(name: str, content: bytes) -> None:
    """Exact: a change here is a change of every shard."""
    assert encode(EXAMPLES[name][None, None], name).tobytes() == content


def test_single_precision_is_stored_with_the_lowest_byte_first() -> None:
    assert encode(np.full((1, 1, 1, 1), 1.0, dtype=">f8"), "float32").tobytes() == b"\x00\x00\x80\x3f"


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(KeyError, match="float64"):
        decode(np.zeros((1, 8), dtype=np.uint8), "float64", (1, 1, 1))


def test_bits_take_whole_bytes() -> None:
    assert [ENCODINGS["bits"].stored_bytes(sites) for sites in (1, 8, 9, 16, 17)] == [1, 1, 2, 2, 3]
