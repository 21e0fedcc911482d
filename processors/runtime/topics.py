"""Before a worker starts: are the topics there, and do clicks and conversions fit together?"""

from __future__ import annotations

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from processors.errors import KafkaGone, TopicsUnfit
from processors.runtime.batches import JOINED
from schemas.topics import CATALOG, CREDITS, DEAD_LETTERS

NEEDED = (*JOINED, CREDITS, DEAD_LETTERS, CATALOG)


def check_topics(kafka: str, timeout_s: float) -> str:
    """Which log this is: cluster and topic ids, by which a store knows that it was filled from another one.

    TopicsUnfit names the topic that is missing or the counts that differ; KafkaGone when nobody answers.
    """
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    try:
        cluster = admin.list_topics(timeout=timeout_s)
    except KafkaException as error:
        raise KafkaGone(kafka, f"no answer within {timeout_s:g} s ({error})") from error
    missing = [name for name in NEEDED if name not in cluster.topics]
    if missing:
        raise TopicsUnfit(f"Kafka at {kafka} has no topic {', '.join(missing)}; create them with `accredit topics`.")
    counts = [len(cluster.topics[name].partitions) for name in JOINED]
    if counts[0] != counts[1]:
        raise TopicsUnfit(
            f"{JOINED[0]} has {counts[0]} partitions and {JOINED[1]} has {counts[1]}; they are joined by partition and "
            "need the same number. Partitions cannot be taken away: make the topics anew."
        )
    try:
        described = admin.describe_topics(TopicCollection(list(JOINED)), request_timeout=timeout_s)
        ids = [str(described[name].result().topic_id) for name in JOINED]
    except KafkaException as error:
        raise KafkaGone(kafka, f"does not describe its topics ({error})") from error
    return ":".join([str(cluster.cluster_id), *ids])
