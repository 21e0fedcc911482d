"""Before a worker starts: are the topics there, and do those that it joins fit together?"""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from processors.errors import KafkaGone, TopicsUnfit


def check_topics(kafka: str, read: Sequence[str], others: Sequence[str], timeout_s: float) -> str:
    """Which log is ``read``: cluster and topic ids, by which a store knows that it was filled from another one.

    TopicsUnfit names the topic that is missing or the counts that differ; KafkaGone when nobody answers.
    """
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    try:
        cluster = admin.list_topics(timeout=timeout_s)
    except KafkaException as error:
        raise KafkaGone(kafka, f"no answer within {timeout_s:g} s ({error})") from error
    missing = [name for name in (*read, *others) if name not in cluster.topics]
    if missing:
        raise TopicsUnfit(f"Kafka at {kafka} has no topic {', '.join(missing)}; create them with `accredit topics`.")
    counts = [len(cluster.topics[name].partitions) for name in read]
    if len(set(counts)) > 1:
        raise TopicsUnfit(
            f"{', '.join(read)} have {', '.join(map(str, counts))} partitions; they are joined by partition and need "
            "the same number. Partitions cannot be taken away: make the topics anew."
        )
    try:
        described = admin.describe_topics(TopicCollection(list(read)), request_timeout=timeout_s)
        ids = [str(described[name].result().topic_id) for name in read]
    except KafkaException as error:
        raise KafkaGone(kafka, f"does not describe its topics ({error})") from error
    return ":".join([str(cluster.cluster_id), *ids])
