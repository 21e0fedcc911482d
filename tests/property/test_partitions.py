"""Keys that are born in a partition of our choice lie there for Kafka's own clients."""

from __future__ import annotations

from uuid import UUID

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from ingest.births import Births
from schemas.ids import new_session_key, session_text
from schemas.partitions import born_in, partition_of

KEYS = st.binary(min_size=16, max_size=16)
COUNTS = st.integers(1, 10_000)


def kafkas(key: bytes, partitions: int) -> int:
    """As Java, librdkafka's ``murmur2_random`` and aiokafka do."""
    partition: int = (murmur2(key) & 0x7FFFFFFF) % partitions
    return partition


@given(KEYS, COUNTS)
def test_partitions_are_kafkas(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == kafkas(key, partitions)


@given(KEYS, COUNTS, st.data())
def test_keys_are_born_where_they_shall(key: bytes, partitions: int, data: st.DataObject) -> None:
    partition = data.draw(st.integers(0, partitions - 1))
    born = born_in(partition, partitions, key)
    assert born[:12] == key[:12]
    assert kafkas(born, partitions) == partition


@given(st.sets(st.integers(0, 2**32 - 1), min_size=2, max_size=50), COUNTS)
def test_different_chances_stay_different(chances: set[int], partitions: int) -> None:
    """Of one head only as many chances fall together as there are partitions, and two such lots at the end."""
    born = {born_in(0, partitions, bytes(12) + chance.to_bytes(4, "little")) for chance in chances}
    lots = {(chance >> 31, (chance & 0x7FFFFFFF) // partitions) for chance in chances}
    assert len(born) >= len(lots) - 2


@given(st.integers(0, 2**48 - 1), st.lists(st.binary(min_size=10, max_size=10), min_size=1), st.integers(1, 64))
def test_a_round_is_one_partition_and_the_next_the_next(at: int, chances: list[bytes], partitions: int) -> None:
    births = Births()
    assert births.key(at, chances[0]) == new_session_key(at, chances[0])  # while their number is not known
    births.partitions = partitions
    places = []
    for _ in range(3):
        (place,) = {kafkas(births.key(at, chance), partitions) for chance in chances}
        places.append(place)
        births.turn()
    assert [(place - places[0]) % partitions for place in places] == [n % partitions for n in range(3)]
    born = UUID(session_text(births.key(at, chances[0])))
    assert (born.version, born.variant, born.int >> 80) == (7, "specified in RFC 4122", at)
