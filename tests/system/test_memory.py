"""What a file says it holds is compared with the memory there is before anything is allocated."""

import pytest

from rlgen.errors import InputError
from rlgen.system import memory
from rlgen.system.memory import free_memory, require_room

KIB, MIB, GIB = 2**10, 2**20, 2**30


@pytest.fixture
def four_gib_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 4 * GIB)


@pytest.mark.usefixtures("four_gib_free")
@pytest.mark.parametrize(
    ("declared", "on_disk"), [(0, 0), (128 * MIB, 2 * KIB), (1900 * MIB, 100 * MIB), (1900 * MIB, None)]
)
def test_a_size_in_proportion_passes(declared: int, on_disk: int | None) -> None:
    require_room(declared, "the arrays of ant.npz", on_disk)


@pytest.mark.usefixtures("four_gib_free")
@pytest.mark.parametrize("on_disk", [2 * KIB, 6 * MIB])
def test_a_small_file_cannot_ask_for_a_gibibyte(on_disk: int) -> None:
    with pytest.raises(InputError, match=r"expected .* on disk; got 1\.0 GiB for the arrays of ant\.npz; check"):
        require_room(GIB, "the arrays of ant.npz", on_disk)


@pytest.mark.usefixtures("four_gib_free")
def test_half_of_the_free_memory_is_the_most() -> None:
    require_room(2 * GIB, "weights")
    with pytest.raises(InputError, match=r"at most 2\.0 GiB, half of the free memory; got 3\.6 TiB for weights"):
        require_room(4 * 10**12, "weights")


def test_free_memory_is_positive_and_no_more_than_a_limit_set_by_the_address_space(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert free_memory() > 16 * MIB
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1, 1))
    assert free_memory() == 0
